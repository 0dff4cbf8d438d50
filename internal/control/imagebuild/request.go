package imagebuild

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"

	imagebuildcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/imagebuild"
)

// ErrEvent says that an event is neither a request nor of a build.
var ErrEvent = errors.New("event is neither a request of CloudFormation nor of a build that has ended")

// event is what the function is invoked with: a request of CloudFormation or an
// event of CodeBuild, distinguished by their members.
type event struct {
	request
	DetailType string `json:"detail-type"`
	Detail     struct {
		Project string `json:"project-name"`
		Build   string `json:"build-id"` // an ARN
	} `json:"detail"`
}

const buildStateChange = "CodeBuild Build State Change"

// request is a request of CloudFormation for a custom resource, see
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html
type request struct {
	RequestType           requestType
	ResponseURL           string
	StackID               string `json:"StackId"`
	RequestID             string `json:"RequestId"`
	LogicalResourceID     string `json:"LogicalResourceId"`
	PhysicalResourceID    string `json:"PhysicalResourceId"`
	ResourceProperties    map[string]any
	OldResourceProperties map[string]any
}

type requestType string

const (
	requestCreate requestType = "Create"
	requestUpdate requestType = "Update"
	requestDelete requestType = "Delete"
)

func parseEvent(payload []byte) (event, error) {
	var e event
	if err := json.Unmarshal(payload, &e); err != nil {
		return event{}, fmt.Errorf("%w: %w", ErrEvent, err)
	}
	if e.RequestType == "" && (e.DetailType != buildStateChange || e.Detail.Build == "") || e.RequestType != "" && e.ResponseURL == "" {
		return event{}, ErrEvent
	}
	return e, nil
}

// project is the name of the CodeBuild project that the resource names.
func (r request) project() string {
	name, _ := r.ResourceProperties[imagebuildcontract.PropertyProject].(string)
	return name
}

// unchanged reports whether an update leaves everything as it was that the image is
// made of.
func (r request) unchanged() bool {
	return r.RequestType == requestUpdate && reflect.DeepEqual(inputs(r.ResourceProperties), inputs(r.OldResourceProperties))
}

// inputs are the properties without those that are CloudFormation's.
func inputs(properties map[string]any) map[string]any {
	inputs := maps.Clone(properties)
	delete(inputs, "ServiceToken")
	delete(inputs, "ServiceTimeout")
	return inputs
}

// recipient is where an answer goes, and what must be in it.
type recipient struct {
	URL                string `json:"url"`
	StackID            string `json:"stack"`
	RequestID          string `json:"request"`
	LogicalResourceID  string `json:"logical"`
	PhysicalResourceID string `json:"physical"`
}

// recipient of the answer to the request. The resource keeps its physical id: it
// is never replaced, so CloudFormation never deletes an old one.
func (r request) recipient() recipient {
	physical := r.PhysicalResourceID
	if physical == "" {
		physical = r.LogicalResourceID
	}
	return recipient{r.ResponseURL, r.StackID, r.RequestID, r.LogicalResourceID, physical}
}

// response is the answer to a request.
type response struct {
	Status             string
	Reason             string `json:",omitempty"`
	PhysicalResourceID string `json:"PhysicalResourceId"`
	StackID            string `json:"StackId"`
	RequestID          string `json:"RequestId"`
	LogicalResourceID  string `json:"LogicalResourceId"`
}

// maxReason keeps an answer below the 4,096 bytes that CloudFormation takes, even
// if every character of the reason has to be escaped.
const maxReason = 1500

// response says how the resource fares: well, unless there is a reason against it.
func (to recipient) response(reason string) response {
	status := "SUCCESS"
	if reason != "" {
		status = "FAILED"
	}
	return response{status, clip(reason, maxReason), to.PhysicalResourceID, to.StackID, to.RequestID, to.LogicalResourceID}
}
