package awsconfig

import (
	"bytes"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// steadyClient sends requests so that connections last, and so that nobody notices
// when one does not.
//
// The SDK closes the body of a request as soon as the response is there. When a
// service answers quickly, the HTTP transport may not have come to the end of the
// body by then; it takes the closed body for a request it could not write, and
// drops the connection. So the bodies that are sent are copies, out of the reach
// of the SDK. They are held in memory, which is right for our small requests.
//
// A service closes connections that are idle, as all of a frozen function are. The
// transport repeats a request by itself that meets such a connection, if the body
// can be read again and the request is marked as one that may be repeated. All of
// ours may be: whoever sends them repeats them anyway when there is no answer.
type steadyClient struct {
	next aws.HTTPClient
}

// Do implements aws.HTTPClient.
func (c *steadyClient) Do(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.ContentLength <= 0 {
		return c.next.Do(r)
	}
	body := make([]byte, r.ContentLength)
	if _, err := io.ReadFull(r.Body, body); err != nil {
		return nil, fmt.Errorf("reading request body: %w", err)
	}
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body, _ = r.GetBody()
	r.Header["Idempotency-Key"] = nil // marks the request, and is not sent
	return c.next.Do(r)
}
