package webhook

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	"github.com/ecs-github-runners/ecsrunners/internal/control/rawjson"
)

// maxReducedValue is the longest value that is taken over into an envelope.
const maxReducedValue = 1024

// splice returns the payload with the dispatch object as its first member. All
// bytes of the payload stay as they are.
func splice(p *payload, dispatch *contract.Dispatch) (string, error) {
	if dispatch == nil {
		return string(p.bytes), nil
	}
	encoded, err := json.Marshal(dispatch)
	if err != nil {
		return "", fmt.Errorf("encoding dispatch: %w", err)
	}
	open := openingBrace(p.bytes) + 1
	var detail strings.Builder
	detail.Grow(len(p.bytes) + len(encoded) + len(`"":,`) + len(contract.MemberDispatch))
	detail.Write(p.bytes[:open])
	detail.WriteString(`"` + contract.MemberDispatch + `":`)
	detail.Write(encoded)
	detail.WriteByte(',')
	detail.Write(p.bytes[open:])
	return detail.String(), nil
}

// reduce returns an envelope that stands for a payload too large for the bus. It
// has the shape of the payload, with the short members only that identify a job
// and tell its state; dispatch has the labels.
func reduce(p *payload, dispatch *contract.Dispatch) (string, error) {
	envelope := struct {
		Dispatch     *contract.Dispatch         `json:"dispatch,omitempty"`
		Reduced      bool                       `json:"reduced"`
		Action       string                     `json:"action,omitempty"`
		Job          map[string]json.RawMessage `json:"workflow_job,omitempty"`
		Repository   map[string]json.RawMessage `json:"repository,omitempty"`
		Organization map[string]json.RawMessage `json:"organization,omitempty"`
		Installation map[string]json.RawMessage `json:"installation,omitempty"`
	}{Dispatch: dispatch, Reduced: true}
	if len(p.action) <= maxReducedValue {
		envelope.Action = p.action
	}
	for _, part := range []struct {
		object []byte
		target *map[string]json.RawMessage
		names  []string
	}{
		{p.job, &envelope.Job, []string{
			"id", "run_id", "run_attempt", "status", "conclusion", "name", "workflow_name", "head_branch", "head_sha",
			"runner_id", "runner_name", "runner_group_id", "runner_group_name", "created_at", "started_at", "completed_at",
		}},
		{p.repository, &envelope.Repository, []string{"id", "full_name", "name", "private", "visibility"}},
		{p.organization, &envelope.Organization, []string{"id", "login"}},
		{p.installation, &envelope.Installation, []string{"id"}},
	} {
		short, err := shortMembers(part.object, part.names)
		if err != nil {
			return "", err
		}
		*part.target = short
	}
	encoded, err := json.Marshal(envelope)
	if err != nil {
		return "", fmt.Errorf("encoding envelope: %w", err)
	}
	return string(encoded), nil
}

// shortMembers returns the named members of an object that are short and neither
// objects nor lists.
func shortMembers(object []byte, names []string) (map[string]json.RawMessage, error) {
	if !rawjson.IsObject(object) {
		return nil, nil
	}
	values, err := members(object, names...)
	if err != nil {
		return nil, err
	}
	short := make(map[string]json.RawMessage, len(names))
	for i, value := range values {
		if rawjson.IsScalar(value) && len(value) <= maxReducedValue {
			short[names[i]] = value
		}
	}
	return short, nil
}
