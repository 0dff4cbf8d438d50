package registration

// Attributes and index of the ledger table. It holds an item for each job, whose
// key is LedgerJob and the job's id, and one for each task that has claimed a
// job, whose key is LedgerTask and the task's id.
const (
	LedgerKey  = "id"
	LedgerJob  = "job#"
	LedgerTask = "task#"
	// LedgerExpires is when DynamoDB may delete an item, in Unix seconds.
	LedgerExpires = "expires_at"
	// LedgerIndex lists the jobs of a fleet in a state: its partition key is
	// LedgerFleetState, the name of the fleet and the state with # between them, its
	// sort key LedgerQueuedAt, in Unix milliseconds.
	LedgerIndex      = "fleet-state"
	LedgerFleetState = "fleet_state"
	LedgerQueuedAt   = "queued_at"
)
