package registration

import "time"

// Looks is how many jobs are looked up in one request, as docs/registration.md says.
const Looks = looks

// SetTimeout is how long STS may take.
func SetTimeout(p *Proofs, timeout time.Duration) { p.client.Timeout = timeout }

// SetProofs replaces who asks STS.
func SetProofs(i *Identity, p *Proofs) { i.proofs = p }

// Bounds of what a task may ask, and of what is remembered.
const (
	Burst      = burst
	MaxCallers = maxCallers
)

// Remembered is how many callers and proofs a handler remembers.
func Remembered(h *Handler) (callers, verdicts int) {
	return len(h.gate.buckets.kept), len(h.Identity.proofs.verdicts.kept)
}
