// Package functionurl serves an http.Handler behind a Lambda function URL.
//
// The function URL must have the invoke mode BUFFERED. Its events have the
// payload format 2.0: header names in lower case, several values of one header
// joined by commas, and the body as text or, marked so, in base64.
package functionurl

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"github.com/ecs-github-runners/ecsrunners/internal/control/rawjson"
)

// Handler is a Lambda handler that passes function URL events to an
// http.Handler. It implements the Handler interface of the lambda package, which
// hands over the event as it came.
type Handler struct {
	next http.Handler
}

// New returns a Handler for next.
func New(next http.Handler) *Handler {
	return &Handler{next: next}
}

// Invoke answers one event. It returns an error only for what is no event of a
// function URL.
func (h *Handler) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	r, err := newRequest(ctx, event)
	if err != nil {
		return nil, fmt.Errorf("decoding function URL event: %w", err)
	}
	w := &responseWriter{header: make(http.Header)}
	h.next.ServeHTTP(w, r)
	response, err := json.Marshal(w.response())
	if err != nil {
		return nil, fmt.Errorf("encoding function URL response: %w", err)
	}
	return response, nil
}

// newRequest turns an event into the request a server would have received. Of the
// event, the body is by far the largest part; it is decoded once, into the bytes
// the request has.
func newRequest(ctx context.Context, event []byte) (*http.Request, error) {
	members, err := rawjson.Members(event, "rawPath", "rawQueryString", "headers", "requestContext", "body", "isBase64Encoded")
	if err != nil {
		return nil, err
	}
	var headers map[string]string
	var requestContext events.LambdaFunctionURLRequestContext
	if err := errors.Join(json.Unmarshal(members[2], &headers), json.Unmarshal(members[3], &requestContext)); err != nil {
		return nil, err
	}
	path, _ := rawjson.String(members[0])
	query, _ := rawjson.String(members[1])
	body, _ := rawjson.Bytes(members[4])
	r := &http.Request{
		Method:        requestContext.HTTP.Method,
		URL:           &url.URL{Path: path, RawQuery: query},
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        make(http.Header, len(headers)),
		RemoteAddr:    requestContext.HTTP.SourceIP,
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	r.Host = r.Header.Get("Host")
	if domain := requestContext.DomainName; domain != "" {
		r.Host = domain
	}
	// The segment of the function, where the request names that of the sender.
	if trace, ok := ctx.Value("x-amzn-trace-id").(string); ok && trace != "" {
		r.Header.Set("X-Amzn-Trace-Id", trace)
	}
	if string(members[5]) == "true" {
		r.Body = io.NopCloser(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(body)))
		r.ContentLength = -1
	}
	if caller := requestContext.Authorizer; caller != nil && caller.IAM != nil {
		ctx = WithCaller(ctx, *caller.IAM)
	}
	return r.WithContext(ctx), nil
}

type callerKey struct{}

// Caller returns who has signed a request, as AWS has found by the signature. It is
// false for a URL that takes unsigned requests. A function that can be invoked past
// its URL must not trust it.
func Caller(ctx context.Context) (events.LambdaFunctionURLRequestContextAuthorizerIAMDescription, bool) {
	caller, ok := ctx.Value(callerKey{}).(events.LambdaFunctionURLRequestContextAuthorizerIAMDescription)
	return caller, ok
}

// WithCaller returns a context in which Caller finds somebody, for tests.
func WithCaller(ctx context.Context, caller events.LambdaFunctionURLRequestContextAuthorizerIAMDescription) context.Context {
	return context.WithValue(ctx, callerKey{}, caller)
}

// responseWriter collects the response of the http.Handler.
type responseWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (w *responseWriter) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *responseWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// Write implements http.ResponseWriter.
func (w *responseWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// response is what the function URL makes an HTTP response of. The bodies of our
// handlers are text.
func (w *responseWriter) response() events.LambdaFunctionURLResponse {
	w.WriteHeader(http.StatusOK)
	headers := make(map[string]string, len(w.header))
	for name, values := range w.header {
		headers[name] = strings.Join(values, ",")
	}
	return events.LambdaFunctionURLResponse{StatusCode: w.status, Headers: headers, Body: w.body.String()}
}
