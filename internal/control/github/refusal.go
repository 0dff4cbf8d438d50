package github

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gh "github.com/google/go-github/v88/github"

	"github.com/ecs-github-runners/ecsrunners/internal/contract/credential"
)

const (
	// maxRefusal is how much of an answer is read, maxSentence how much of it is
	// repeated.
	maxRefusal  = 64 << 10
	maxSentence = 400
	// secondaryPause is how long to wait where GitHub does not say.
	// https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
	secondaryPause = time.Minute
)

// refusal is an answer of GitHub's that is not what it was asked for. The libraries'
// errors lose parts of it: the text for an installation token, the errors of a 422,
// and the number by which GitHub's support finds a request.
type refusal struct {
	status   int
	header   http.Header
	sentence string // what GitHub says, maybe nothing
}

// Error implements error.
func (r *refusal) Error() string {
	text := strconv.Itoa(r.status)
	if r.sentence != "" {
		text += fmt.Sprintf(" %q", r.sentence)
	} else {
		text += " without a text"
	}
	if id := r.header.Get("X-Github-Request-Id"); requestID.MatchString(id) {
		text += " (request " + id + ")"
	}
	return text
}

var requestID = regexp.MustCompile(`^[A-Za-z0-9:._-]{1,64}$`)

// answered is the refusal in an error of the libraries, or the error itself if
// there was no answer.
func answered(err error) error {
	var (
		primary   *gh.RateLimitError
		secondary *gh.AbuseRateLimitError
		factor    *gh.TwoFactorAuthError
		elsewhere *gh.RedirectionError
		other     *gh.ErrorResponse
		token     *ghinstallation.HTTPError
		response  *http.Response
	)
	switch {
	case errors.As(err, &primary):
		response = primary.Response
	case errors.As(err, &secondary):
		response = secondary.Response
	case errors.As(err, &factor):
		response = factor.Response
	case errors.As(err, &elsewhere):
		response = elsewhere.Response
	case errors.As(err, &other):
		response = other.Response
	case errors.As(err, &token):
		response = token.Response
	}
	if response == nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxRefusal)) // as far as it came
	return &refusal{status: response.StatusCode, header: response.Header, sentence: sentence(body)}
}

// sentence is what an error answer says, on one line and without what looks like a
// credential: a proxy on the way may repeat what was sent.
func sentence(body []byte) string {
	var said struct {
		Message string          `json:"message"`
		Errors  json.RawMessage `json:"errors"`
	}
	text := string(body)
	if err := json.Unmarshal(body, &said); err == nil {
		text = strings.Join(append(parts(said.Message), details(said.Errors)...), ": ")
	} else if page := title.FindStringSubmatch(text); page != nil {
		text = page[1]
	}
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "?"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	text = credential.Hide(text)
	if runes := []rune(text); len(runes) > maxSentence {
		text = string(runes[:maxSentence]) + "…"
	}
	return text
}

// title is all that matters of a page.
var title = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)

// details are the errors of an answer: GitHub sends texts, objects, lists of both,
// or a text alone.
// https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api#validation-failed
func details(errs json.RawMessage) []string {
	var list []json.RawMessage
	if json.Unmarshal(errs, &list) != nil {
		list = []json.RawMessage{errs}
	}
	var found []string
	for _, element := range list {
		var text string
		var object struct{ Resource, Field, Code, Message string }
		if json.Unmarshal(element, &text) != nil && json.Unmarshal(element, &object) == nil {
			text = strings.Join(parts(object.Resource, object.Field, object.Code, object.Message), " ")
		}
		found = append(found, parts(text)...)
	}
	return parts(strings.Join(found, "; "))
}

// parts are the texts that say something.
func parts(texts ...string) []string {
	var found []string
	for _, text := range texts {
		if text != "" {
			found = append(found, text)
		}
	}
	return found
}

// status is the status code of a refusal, and zero if there was none.
func status(err error) int {
	var answer *refusal
	if errors.As(err, &answer) {
		return answer.status
	}
	return 0
}

// says reports whether GitHub's sentence has one of some parts, in lower case.
func (r *refusal) says(parts ...string) bool {
	sentence := strings.ToLower(r.sentence)
	for _, part := range parts {
		if strings.Contains(sentence, part) {
			return true
		}
	}
	return false
}

// redirects reports whether the answer leads elsewhere.
func (r *refusal) redirects() bool {
	switch r.status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return r.header.Get("Location") != ""
	}
	return false
}

// limited reports whether the refusal is for a rate limit: GitHub says so by the
// status, by headers, or in the text alone.
// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
func (r *refusal) limited() bool {
	switch r.status {
	case http.StatusTooManyRequests:
		return true
	case http.StatusForbidden:
		return r.header.Get("Retry-After") != "" || r.header.Get("X-Ratelimit-Remaining") == "0" ||
			r.says("rate limit", "abuse detection", "too many requests", "submitted too quickly")
	}
	return false
}

// retryAfter is when to come back. When a limit is over that is not used up is not
// when another one is.
func (r *refusal) retryAfter(now time.Time) time.Duration {
	after := r.header.Get("Retry-After")
	if seconds, err := strconv.Atoi(after); err == nil {
		return max(time.Duration(seconds)*time.Second, time.Second)
	}
	if at, err := http.ParseTime(after); err == nil {
		return max(at.Sub(now), time.Second)
	}
	if reset, err := strconv.ParseInt(r.header.Get("X-Ratelimit-Reset"), 10, 64); err == nil && r.header.Get("X-Ratelimit-Remaining") == "0" {
		return max(time.Unix(reset, 0).Sub(now), time.Second)
	}
	return secondaryPause
}

// advice is what helps, where GitHub's text leaves no doubt, or says nothing: needs is
// what may be missing.
func (r *refusal) advice(needs string) string {
	switch {
	case r.redirects():
		host := ""
		if location, err := url.Parse(r.header.Get("Location")); err == nil {
			host = location.Host
		}
		return fmt.Sprintf(": it leads to %q, where the credential is not sent: is this the address of GitHub?", host)
	case r.says("suspended"):
		return ": lift the suspension at GitHub"
	case r.says("ip allow list"):
		return ": allow the addresses at which the functions reach GitHub"
	case r.says("saml", "single sign-on"):
		return ": authorize the token for the organization's single sign-on"
	case r.status == http.StatusNotFound, r.sentence == "",
		r.says("not accessible", "permission", "admin rights", "not granted", "not authorized", "scope"):
		return ": it needs " + needs
	}
	return ""
}
