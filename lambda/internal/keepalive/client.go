// Package keepalive makes AWS clients keep their connections.
//
// The AWS SDK closes the body of a request as soon as the response is there. When
// a service answers quickly, the HTTP transport may not have come to the end of
// the body by then; it takes the closed body for a request it could not write, and
// drops the connection. The next request pays for a new one, TLS included.
package keepalive

import (
	"bytes"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// Client is an HTTP client for AWS clients that send small requests. The bodies
// it sends are out of the reach of the SDK. They can also be read twice, so that
// the transport repeats a request by itself when it finds that the service has
// closed an idle connection, as happens to a function that was frozen for a while.
type Client struct {
	next aws.HTTPClient
}

// New returns a Client that sends its requests with next, or with the client the
// SDK uses by itself where next is nil, as in a configuration that says nothing
// about it.
func New(next aws.HTTPClient) *Client {
	if next == nil {
		next = awshttp.NewBuildableClient()
	}
	return &Client{next: next}
}

// Do implements aws.HTTPClient.
func (c *Client) Do(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.ContentLength <= 0 {
		return c.next.Do(r)
	}
	body := make([]byte, r.ContentLength)
	if _, err := io.ReadFull(r.Body, body); err != nil {
		return nil, fmt.Errorf("reading request body: %w", err)
	}
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body, _ = r.GetBody()
	return c.next.Do(r)
}
