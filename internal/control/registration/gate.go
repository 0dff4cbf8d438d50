package registration

import "time"

const (
	// maxCallers bounds the callers that are remembered.
	maxCallers = 1000

	// A caller may send burst requests at once, and then one each pace. A supervisor
	// waits at least as long.
	burst = 10
	pace  = 2 * time.Second
)

// sender is who sends a request, before anything is verified. A job cannot vary
// either: Lambda has checked both. Whoever invokes the function past its URL can, but
// must first find the access key of another's task, as in CloudTrail, to use up its
// requests.
type sender struct{ session, accessKeyID string }

// gate holds back senders that ask in a loop, at no cost to others.
type gate struct {
	buckets *memory[sender, bucket]
	refused *memory[request, error]
}

// request is what a sender asks for.
type request struct {
	sender
	path string
}

// bucket is what a sender may still send at a time.
type bucket struct {
	left float64
	at   time.Time
}

func newGate() *gate {
	return &gate{buckets: newMemory[sender, bucket](maxCallers), refused: newMemory[request, error](maxCallers)}
}

// take counts a request. It returns how long to wait if there are too many.
func (g *gate) take(from sender, now time.Time) (wait time.Duration) {
	g.buckets.update(from, now, func(b bucket, found bool) (bucket, time.Time) {
		if !found {
			b = bucket{left: burst, at: now}
		}
		b.left = min(burst, b.left+now.Sub(b.at).Seconds()/pace.Seconds())
		b.at = now
		if b.left < 1 {
			wait = time.Duration((1 - b.left) * float64(pace))
		} else {
			b.left--
		}
		return b, now.Add(burst * pace) // full by then
	})
	return wait
}
