package registration

import "time"

// Looks is how many jobs are looked up in one request, as docs/registration.md says.
const Looks = looks

// SetTimeout is how long STS may take.
func SetTimeout(p *Proofs, timeout time.Duration) { p.client.Timeout = timeout }

// SetProofs replaces who asks STS.
func SetProofs(i *Identity, p *Proofs) { i.proofs = p }
