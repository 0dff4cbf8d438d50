package lambdatest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Session is a session of a role: its credentials, and who they are.
type Session struct {
	AccessKeyID, SecretAccessKey, SessionToken string
	UserID, ARN, Account                       string
}

// STS is an STS that answers presigned GetCallerIdentity requests, and checks their
// signatures itself, as it is documented and without the SDK.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
type STS struct {
	Region, Host string
	Now          func() time.Time
	// Sessions returns the session of an access key and its token.
	Sessions func(accessKeyID, token string) (Session, bool)

	mu    sync.Mutex
	calls int
	// fail answers in place of STS.
	fail http.HandlerFunc
}

// Calls returns how many requests have come.
func (s *STS) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// Fail lets a handler answer in place of STS, until it is nil.
func (s *STS) Fail(handler http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = handler
}

// RoundTrip lets an STS be the transport of a client that calls it at its own
// address, and no other.
func (s *STS) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" || r.URL.Host != s.Host {
		return nil, fmt.Errorf("%w: %s is not https://%s", errNotSTS, r.URL, s.Host)
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	if r.Body == nil {
		r.Body = http.NoBody
	}
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

var errNotSTS = errors.New("not the address of STS")

// ServeHTTP implements http.Handler.
func (s *STS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.calls++
	fail := s.fail
	s.mu.Unlock()
	if fail != nil {
		fail(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	refuse := func(status int, code, message string) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>`+code+
			`</Code><Message>`+html.EscapeString(message)+`</Message></Error><RequestId>1</RequestId></ErrorResponse>`)
	}
	query := r.URL.Query()
	credential := strings.Split(query.Get("X-Amz-Credential"), "/")
	at, err := time.Parse("20060102T150405Z", query.Get("X-Amz-Date"))
	age := s.Now().Sub(at)
	lasts, _ := strconv.Atoi(query.Get("X-Amz-Expires"))
	switch {
	case r.Host != s.Host || len(credential) != 5 || err != nil || query.Get("X-Amz-Algorithm") != "AWS4-HMAC-SHA256" ||
		credential[1] != at.Format("20060102") || strings.Join(credential[2:], "/") != s.Region+"/sts/aws4_request":
		refuse(http.StatusForbidden, "IncompleteSignature", "The signature is not one for this service.")
		return
	case age > time.Duration(lasts)*time.Second || age < -15*time.Minute:
		refuse(http.StatusForbidden, "SignatureDoesNotMatch", "Signature expired: "+query.Get("X-Amz-Date")+" is now earlier than now")
		return
	}
	session, found := s.Sessions(credential[0], query.Get("X-Amz-Security-Token"))
	if !found {
		refuse(http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid.")
		return
	}
	body, _ := io.ReadAll(r.Body)
	if !hmac.Equal([]byte(signature(r, body, session, at, s.Region)), []byte(query.Get("X-Amz-Signature"))) {
		refuse(http.StatusForbidden, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. "+
			"Check your AWS Secret Access Key and signing method.\n\nThe Canonical String for this request should have been\n"+r.URL.RawQuery)
		return
	}
	if query.Get("Action") != "GetCallerIdentity" {
		refuse(http.StatusBadRequest, "InvalidAction", "Could not find operation "+query.Get("Action"))
		return
	}
	type result struct{ Arn, UserId, Account string } //nolint:revive // as STS writes it
	_ = xml.NewEncoder(w).Encode(struct {
		XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResponse"`
		Result  result   `xml:"GetCallerIdentityResult"`
	}{Result: result{Arn: session.ARN, UserId: session.UserID, Account: session.Account}})
}

// signature is the signature that a presigned request must have.
func signature(r *http.Request, body []byte, session Session, at time.Time, region string) string {
	query := r.URL.Query()
	signed := query.Get("X-Amz-SignedHeaders")
	query.Del("X-Amz-Signature")
	var headers strings.Builder
	for name := range strings.SplitSeq(signed, ";") {
		value := r.Host
		if name != "host" {
			value = strings.Join(r.Header.Values(name), ",")
		}
		headers.WriteString(name + ":" + strings.TrimSpace(value) + "\n")
	}
	payload := sha256.Sum256(body)
	path := (&url.URL{Path: r.URL.Path}).EscapedPath()
	canonical := sha256.Sum256([]byte(strings.Join([]string{
		r.Method, path, strings.ReplaceAll(query.Encode(), "+", "%20"), headers.String(), signed, hex.EncodeToString(payload[:]),
	}, "\n")))
	scope := []string{at.Format("20060102"), region, "sts", "aws4_request"}
	key := []byte("AWS4" + session.SecretAccessKey)
	for _, part := range append(slices.Clone(scope),
		"AWS4-HMAC-SHA256\n"+at.Format("20060102T150405Z")+"\n"+strings.Join(scope, "/")+"\n"+hex.EncodeToString(canonical[:])) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return hex.EncodeToString(key)
}
