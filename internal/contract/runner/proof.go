package runner

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	// ProofHeader is the header that binds a proof to one registration: its value is
	// the host of the registration URL, and the signature covers it. A request that
	// somebody has signed for another service or another registration proves nothing
	// here.
	ProofHeader = "x-ecsrunners-registration"
	// ProofAge is the greatest age of a proof, and how far its date may lie in the
	// future, because clocks differ. STS alone would accept it for a quarter of an hour.
	ProofAge = 5 * time.Minute
	// ProofService is the service that a proof is signed for.
	ProofService = "sts"
	// ProofDate is the layout of a proof's date.
	ProofDate = "20060102T150405Z"
	// EmptyHash is the SHA-256 of the body of the request, which has none.
	EmptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// Proof is what differs between two presigned sts:GetCallerIdentity requests: who
// signs, when, and the signature. All else is IdentityRequest, which both sides make
// themselves, so that nothing in a proof can lead the service elsewhere. Who sees a
// proof can pass for the signer at this registration until it expires, but has no
// other use for it.
type Proof struct {
	AccessKeyID  string `json:"access_key_id"`
	SessionToken Secret `json:"session_token"`
	Date         string `json:"date"`
	Signature    Secret `json:"signature"`
}

var (
	accessKeyID  = regexp.MustCompile(`^[A-Z0-9]{16,128}$`)
	sessionToken = regexp.MustCompile(`^[A-Za-z0-9+/=_-]+$`)
)

// SignedAt returns when a proof was signed. It is false if the proof does not have
// the form of one.
func (p Proof) SignedAt() (time.Time, bool) {
	at, err := time.Parse(ProofDate, p.Date)
	signature, hexErr := hex.DecodeString(p.Signature.Reveal())
	ok := err == nil && hexErr == nil && len(signature) == 32 && accessKeyID.MatchString(p.AccessKeyID) && sessionToken.MatchString(p.SessionToken.Reveal())
	return at, ok
}

// IdentityRequest is the request that the supervisor presigns for a registration: it
// asks STS in a region who has signed it.
func IdentityRequest(region, registration string) *http.Request {
	query := url.Values{"Action": {"GetCallerIdentity"}, "Version": {"2011-06-15"}, "X-Amz-Expires": {strconv.Itoa(int(ProofAge.Seconds()))}}
	host := STSHost(region)
	return &http.Request{
		Method: http.MethodGet,
		URL:    &url.URL{Scheme: "https", Host: host, Path: "/", RawQuery: query.Encode()},
		Host:   host,
		Header: http.Header{http.CanonicalHeaderKey(ProofHeader): {registration}},
		Proto:  "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
}

// Request is IdentityRequest with the signature of a proof.
func (p Proof) Request(region, registration string) *http.Request {
	r := IdentityRequest(region, registration)
	query := r.URL.Query()
	day, _, _ := strings.Cut(p.Date, "T")
	for name, value := range map[string]string{
		"Algorithm":      "AWS4-HMAC-SHA256",
		"Credential":     strings.Join([]string{p.AccessKeyID, day, region, ProofService, "aws4_request"}, "/"),
		"Date":           p.Date,
		"Security-Token": p.SessionToken.Reveal(),
		"SignedHeaders":  "host;" + ProofHeader,
		"Signature":      p.Signature.Reveal(),
	} {
		query.Set("X-Amz-"+name, value)
	}
	r.URL.RawQuery = query.Encode()
	return r
}

// stsDomains are the domains of AWS's partitions, by how their regions begin.
// https://docs.aws.amazon.com/general/latest/gr/sts.html
var stsDomains = map[string]string{
	"cn":      "amazonaws.com.cn",
	"us-iso":  "c2s.ic.gov",
	"us-isob": "sc2s.sgov.gov",
	"us-isof": "csp.hci.ic.gov",
	"eu-isoe": "cloud.adc-e.uk",
	"eusc":    "amazonaws.eu",
}

// STSHost is the host of STS in a region.
func STSHost(region string) string {
	parts := strings.SplitN(region, "-", 3)
	domain, found := stsDomains[parts[0]]
	if !found && len(parts) > 2 {
		domain, found = stsDomains[parts[0]+"-"+parts[1]]
	}
	if !found {
		domain = "amazonaws.com"
	}
	return "sts." + region + "." + domain
}
