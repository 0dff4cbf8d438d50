package ledger

// How long items are kept, as docs/registration.md says.
const (
	FinalAge = finalAge
	LiveAge  = liveAge
)
