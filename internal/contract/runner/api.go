package runner

import "log/slog"

// Paths of the registration API. Every request is a POST, signed with the task
// role for the service "lambda", with a Request as its body.
const (
	// PathRegister asks for a runner: 200 with a Registration, or 204 when the fleet
	// has no work left. The same task may ask again until it has sent PathStarted,
	// and then gets a new runner.
	PathRegister = "/register"
	// PathStarted says that the listener starts now: 204.
	PathStarted = "/started"
	// PathRelease removes the task's runner if it never took a job: 204, or 409 when
	// GitHub says that it is busy. After PathStarted it takes the ReleaseToken of the
	// registration: 403 without.
	PathRelease = "/release"
)

// Request is the body of every request to the registration API. Who asks follows
// from the signature of the request and from Proof, which must agree, and for which
// job from ECS. An answer of 426 says that Contract is not a version the service
// speaks.
type Request struct {
	Contract int `json:"contract"`
	// Proof shows that the sender has the credentials of the task's role. Whoever may
	// invoke the function past its URL can claim any signature of the request, but
	// cannot make a proof.
	Proof Proof `json:"proof"`
	// ReleaseToken is the token of the registration that PathRelease gives back.
	ReleaseToken Secret `json:"release_token,omitempty"`
}

// Registration is the answer to PathRegister.
type Registration struct {
	RunnerID   int64  `json:"runner_id"`
	RunnerName string `json:"runner_name"`
	// JITConfig is the just-in-time configuration of the runner: the credential with
	// which it takes its one job.
	JITConfig Secret `json:"jit_config"`
	// ReleaseToken shows that a release comes from the supervisor. A job has the
	// credentials of the task's role, too: could it give its runner back when it is
	// over, it would be registered again, for somebody else's job.
	ReleaseToken Secret `json:"release_token"`
}

// Failure is the body of an answer that is not a success.
type Failure struct {
	Error string `json:"error"`
}

// Secret is a text that nobody must see. Formatting and logging show a
// placeholder; only encoding it as JSON and Reveal give the value.
type Secret string

// Reveal returns the text itself.
func (s Secret) Reveal() string { return string(s) }

// String returns a placeholder.
func (s Secret) String() string { return "[secret]" }

// GoString returns a placeholder.
func (s Secret) GoString() string { return s.String() }

// LogValue returns a placeholder.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
