package webhook

// What docs/webhook.md says of a delivery's way.
const (
	Budget          = budget
	MaxEntrySize    = maxEntrySize
	MaxReducedValue = maxReducedValue
)
