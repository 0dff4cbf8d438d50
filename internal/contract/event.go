package contract

// Sources and detail types of the events on the bus.
const (
	// SourceGitHub is the source of an event that GitHub delivered.
	SourceGitHub = "github.com"
	// SourceRedispatch is the source of an event that asks again for a runner
	// for a job whose first event led to none.
	SourceRedispatch = "ecsrunners"
	// DetailTypeWorkflowJob is the detail type of the events about jobs. The detail
	// type of every event is the name GitHub gives it in X-GitHub-Event.
	DetailTypeWorkflowJob = "workflow_job"
	// ActionQueued is the action, in detail.action, of a job that wants a runner.
	ActionQueued = "queued"
)

// MemberDispatch is the member of an event's detail that is ours; the rest of
// the detail is GitHub's payload, byte for byte.
const MemberDispatch = "dispatch"

// MemberReduced is set to true in a detail that is not GitHub's payload but an
// envelope made from it, because the payload was larger than the bus accepts.
const MemberReduced = "reduced"

// Members of the dispatch object.
const (
	DispatchFleet      = "fleet"
	DispatchJobID      = "job_id"
	DispatchRepository = "repository"
	DispatchLabels     = "labels"
	DispatchDeliveryID = "delivery_id"
	DispatchAttempt    = "attempt"
)

// FirstAttempt is the attempt in a dispatch that came from GitHub. A redispatch
// carries a higher one.
const FirstAttempt = "1"

// Dispatch is what the rest of the system needs to know about a job. It is the
// first member of the detail of every workflow_job event.
//
// All values are strings: the input transformer of a rule copies JSON as it
// stands, and the overrides of an ECS task accept strings only.
type Dispatch struct {
	// Fleet is the fleet that runs the job, empty when no fleet covers its labels.
	Fleet string `json:"fleet,omitempty"`
	// JobID is the id of the workflow job, in decimal.
	JobID string `json:"job_id"`
	// Repository is the full name of the job's repository, owner/name.
	Repository string `json:"repository"`
	// Labels are the job's labels: lower case, each once, sorted, joined by commas.
	Labels string `json:"labels"`
	// DeliveryID is GitHub's id of the delivery that brought the event.
	DeliveryID string `json:"delivery_id"`
	// Attempt counts the dispatches of this job, from FirstAttempt.
	Attempt string `json:"attempt"`
}

// DispatchPath is the path of a member of the dispatch object, as event patterns
// and input transformers write it: DispatchPath(DispatchJobID) is
// "$.detail.dispatch.job_id".
func DispatchPath(member string) string {
	return "$.detail." + MemberDispatch + "." + member
}
