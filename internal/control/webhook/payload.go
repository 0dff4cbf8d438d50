package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	"github.com/ecs-github-runners/ecsrunners/internal/control/rawjson"
)

// ErrPayload says that a signed payload is not one the program can pass on. The
// errors that wrap it do not quote the payload.
var ErrPayload = errors.New("payload is not valid")

// payload is GitHub's payload, and the members the program reads of it, as they
// stand there.
type payload struct {
	bytes        []byte
	action       string
	job          []byte
	repository   []byte
	organization []byte
	installation []byte
	deployment   []byte
}

// parsePayload checks that body can be the detail of an event: a JSON object in
// UTF-8 that is not empty and has no dispatch member, however spelled.
func parsePayload(body []byte) (*payload, error) {
	if !utf8.Valid(body) {
		return nil, fmt.Errorf("%w: not in UTF-8", ErrPayload)
	}
	values, err := members(body, contract.MemberDispatch, "action", "workflow_job", "repository", "organization", "installation", "deployment")
	if err != nil {
		return nil, err
	}
	if values[0] != nil {
		return nil, fmt.Errorf("%w: has a member %q", ErrPayload, contract.MemberDispatch)
	}
	if rawjson.IsEmptyObject(body[openingBrace(body):]) {
		return nil, fmt.Errorf("%w: empty object", ErrPayload)
	}
	action, _ := rawjson.String(values[1])
	return &payload{
		bytes: body, action: action,
		job: values[2], repository: values[3], organization: values[4], installation: values[5],
		deployment: values[6],
	}, nil
}

// openingBrace returns the index of the brace an object begins with; nothing but
// white space is before it.
func openingBrace(object []byte) int {
	return bytes.IndexByte(object, '{')
}

// repository is what the allow-lists ask for. The name is empty when an event is
// not about a repository.
type repository struct {
	owner  string
	name   string // owner/name
	public bool
}

// source returns the repository the payload is about, or else only the owner: the
// organization, or the account that installed an app.
func (p *payload) source() (repository, error) {
	if rawjson.IsObject(p.repository) {
		values, err := members(p.repository, "full_name", "private")
		if err != nil {
			return repository{}, err
		}
		name, ok := rawjson.String(values[0])
		if !ok || !contract.IsRepositoryName(name) {
			return repository{}, fmt.Errorf("%w: repository.full_name is not owner/name", ErrPayload)
		}
		private := string(values[1]) == "true"
		if !private && string(values[1]) != "false" {
			return repository{}, fmt.Errorf("%w: repository.private is not a boolean", ErrPayload)
		}
		owner, _, _ := strings.Cut(name, "/")
		return repository{owner: owner, name: name, public: !private}, nil
	}
	account := p.organization
	if !rawjson.IsObject(account) && rawjson.IsObject(p.installation) {
		values, err := members(p.installation, "account")
		if err != nil {
			return repository{}, err
		}
		account = values[0]
	}
	if !rawjson.IsObject(account) {
		return repository{}, nil
	}
	values, err := members(account, "login")
	if err != nil {
		return repository{}, err
	}
	owner, _ := rawjson.String(values[0])
	return repository{owner: owner}, nil
}

// job is what routing needs of a workflow job.
type job struct {
	id     string
	labels []string
	queued time.Time // zero if it is not known, or says nothing
}

// workflowJob returns the job the payload is about. It requires what every
// workflow_job event has: action, job, repository.
func (p *payload) workflowJob() (job, error) {
	if !contract.IsEventName(p.action) {
		return job{}, fmt.Errorf("%w: action is missing or malformed", ErrPayload)
	}
	if !rawjson.IsObject(p.repository) {
		return job{}, fmt.Errorf("%w: repository is missing", ErrPayload)
	}
	if !rawjson.IsObject(p.job) {
		return job{}, fmt.Errorf("%w: workflow_job is missing", ErrPayload)
	}
	values, err := members(p.job, "id", "labels", "created_at", "started_at")
	if err != nil {
		return job{}, err
	}
	j := job{id: string(values[0])}
	if !contract.IsJobID(j.id) {
		return job{}, fmt.Errorf("%w: workflow_job.id is not a positive integer", ErrPayload)
	}
	if values[1] == nil || json.Unmarshal(values[1], &j.labels) != nil {
		return job{}, fmt.Errorf("%w: workflow_job.labels is not a list of strings", ErrPayload)
	}
	// A job with an environment is queued again after an approval, which can take a
	// month, and whether GitHub then changes one of its times is not documented.
	if rawjson.IsObject(p.deployment) {
		return j, nil
	}
	for _, value := range values[2:] {
		text, _ := rawjson.String(value)
		if at, err := time.Parse(time.RFC3339, text); err == nil && at.After(j.queued) {
			j.queued = at
		}
	}
	return j, nil
}

// members returns members of an object in the payload.
func members(object []byte, names ...string) ([][]byte, error) {
	values, err := rawjson.Members(object, names...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPayload, err)
	}
	return values, nil
}
