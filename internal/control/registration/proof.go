package registration

import (
	"context"
	"crypto/sha256"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
	"github.com/ecs-github-runners/ecsrunners/internal/control/clock"
)

// Errors of a proof.
var (
	// ErrProof says that a request comes without a valid proof of who sends it.
	ErrProof = errors.New("the proof of identity is not valid")
	// ErrSTS says that STS gave no usable answer.
	ErrSTS = errors.New("STS is not available")
)

const (
	// stsTimeout bounds a question to STS, its answer included.
	stsTimeout = 5 * time.Second
	// maxSTSAnswer is more than an answer of STS takes.
	maxSTSAnswer = 16 << 10
	// maxProofs bounds the proofs that are remembered.
	maxProofs = 1000
	// maxQuote is how much of STS' own text is passed on, in bytes.
	maxQuote = 200
)

// signer is who has signed a request, as STS tells.
type signer struct{ account, userID string }

// verdict is what STS has said of a proof.
type verdict struct {
	signer signer
	err    error
}

// Proofs lets STS say who has made a proof. It asks only STS in its own region: a
// proof cannot name a host, a method, a header or a parameter.
type Proofs struct {
	region   string
	endpoint *url.URL // nil: the host itself
	client   *http.Client
	clock    clock.Clock
	// verdicts are those on proofs that came a moment ago: a supervisor sends one
	// several times. Each is kept until STS might decide otherwise.
	verdicts *memory[[sha256.Size]byte, verdict]
}

// NewProofs returns Proofs that asks STS in a region through a transport. The
// endpoint is the address at which STS is reached; empty means its own, and
// everything else is for tests, as in AWS_ENDPOINT_URL_STS of the SDKs. The request
// is made for STS' own host in any case.
func NewProofs(region, endpoint string, transport http.RoundTripper, clock clock.Clock) (*Proofs, error) {
	p := &Proofs{
		region: region, clock: clock, verdicts: newMemory[[sha256.Size]byte, verdict](maxProofs),
		client: &http.Client{
			Transport:     transport,
			Timeout:       stsTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	if region == "" {
		return nil, errors.New("the region is not known: AWS_REGION is empty")
	}
	if endpoint == "" {
		return p, nil
	}
	var err error
	if p.endpoint, err = url.Parse(endpoint); err != nil {
		return nil, fmt.Errorf("reading the endpoint of STS: %w", err)
	}
	return p, nil
}

// check finds what is wrong with a proof without asking anybody.
func (p *Proofs) check(proof runnercontract.Proof) error {
	at, ok := proof.SignedAt()
	if !ok {
		return fmt.Errorf("%w: the request has no proof, or one in the wrong form", ErrProof)
	}
	switch age := p.clock.Now().Sub(at); {
	case age > runnercontract.ProofAge:
		return fmt.Errorf("%w: it was signed at %s, %s ago, and is valid for %s", ErrProof, proof.Date, age.Round(time.Second), runnercontract.ProofAge)
	case -age > runnercontract.ProofAge:
		return fmt.Errorf("%w: it was signed at %s, %s in the future", ErrProof, proof.Date, -age.Round(time.Second))
	}
	return nil
}

// signer returns who has made a proof for a registration. It fails with ErrProof or
// ErrSTS.
func (p *Proofs) signer(ctx context.Context, proof runnercontract.Proof, registration string) (signer, error) {
	if err := p.check(proof); err != nil {
		return signer{}, err
	}
	key := sha256.Sum256([]byte(strings.Join([]string{
		registration, proof.AccessKeyID, proof.Date, proof.Signature.Reveal(), proof.SessionToken.Reveal(),
	}, "\n")))
	now := p.clock.Now()
	if known, found := p.verdicts.get(key, now); found {
		return known.signer, known.err
	}
	who, err := p.ask(ctx, proof.Request(p.region, registration))
	if err == nil || errors.Is(err, ErrProof) {
		p.verdicts.put(key, verdict{who, err}, now, now.Add(rememberedFor))
	}
	return who, err
}

// stsAnswer is the XML of STS: the result of GetCallerIdentity, or an error.
type stsAnswer struct {
	XMLName xml.Name
	Result  struct {
		UserID  string `xml:"UserId"`
		Account string `xml:"Account"`
	} `xml:"GetCallerIdentityResult"`
	Error struct {
		Code    string `xml:"Code"`
		Message string `xml:"Message"`
	} `xml:"Error"`
}

// ask sends a request to STS.
func (p *Proofs) ask(ctx context.Context, r *http.Request) (signer, error) {
	if p.endpoint != nil {
		r.URL.Scheme, r.URL.Host = p.endpoint.Scheme, p.endpoint.Host
	}
	response, err := p.client.Do(r.WithContext(ctx))
	if err != nil {
		var failed *url.Error // it quotes the address, and with it the proof
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return signer{}, fmt.Errorf("%w: %w", ErrSTS, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxSTSAnswer))
	if err != nil {
		return signer{}, fmt.Errorf("%w: reading its answer: %w", ErrSTS, err)
	}
	var answer stsAnswer
	parsed := xml.Unmarshal(body, &answer)
	switch {
	case response.StatusCode == http.StatusOK && parsed == nil && answer.XMLName.Local == "GetCallerIdentityResponse" && answer.Result.UserID != "":
		return signer{account: answer.Result.Account, userID: answer.Result.UserID}, nil
	case response.StatusCode < 400 || response.StatusCode >= 500 || parsed != nil || answer.Error.Code == "" || busy(response.StatusCode, answer.Error.Code):
		return signer{}, fmt.Errorf("%w: it answers %s%s", ErrSTS, response.Status, quoted(answer))
	default:
		return signer{}, fmt.Errorf("%w: STS answers %d%s", ErrProof, response.StatusCode, quoted(answer))
	}
}

// busy reports whether an error says nothing of the proof: STS has too much to do,
// which it may say with 400, or is not activated in this region.
func busy(status int, code string) bool {
	return status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || strings.HasPrefix(code, "Throttl") ||
		strings.HasPrefix(code, "RequestLimitExceeded") || strings.HasPrefix(code, "RegionDisabled")
}

// quoted is the first line of what STS says. Further lines of a message may repeat
// the request, and with it the session token.
func quoted(answer stsAnswer) string {
	if answer.Error.Code == "" {
		return ""
	}
	line, _, _ := strings.Cut(strings.TrimSpace(answer.Error.Message), "\n")
	return ": " + answer.Error.Code + ": " + line[:min(len(line), maxQuote)]
}
