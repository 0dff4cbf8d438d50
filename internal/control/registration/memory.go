package registration

import (
	"sync"
	"time"
)

// rememberedFor is how long an answer is given again without asking anybody.
const rememberedFor = time.Minute

// memory keeps values for a while, and never more than a number of them. It is that
// of one instance of the function, and safe for concurrent use.
type memory[K comparable, V any] struct {
	most int

	mu   sync.Mutex
	kept map[K]remembered[V]
}

type remembered[V any] struct {
	value V
	until time.Time
}

func newMemory[K comparable, V any](most int) *memory[K, V] {
	return &memory[K, V]{most: most, kept: map[K]remembered[V]{}}
}

// get returns what is kept, unless its time has come.
func (m *memory[K, V]) get(key K, now time.Time) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.find(key, now)
}

func (m *memory[K, V]) find(key K, now time.Time) (V, bool) {
	if r, found := m.kept[key]; found && now.Before(r.until) {
		return r.value, true
	}
	var none V
	return none, false
}

// put keeps a value until a time.
func (m *memory[K, V]) put(key K, value V, now, until time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keep(key, value, now, until)
}

// keep makes room by forgetting what has expired, and else what comes first: one
// who fills the memory cannot empty it at a stroke.
func (m *memory[K, V]) keep(key K, value V, now, until time.Time) {
	if _, found := m.kept[key]; !found && len(m.kept) >= m.most {
		for k, r := range m.kept {
			if !now.Before(r.until) {
				delete(m.kept, k)
			}
		}
		for k := range m.kept {
			if len(m.kept) < m.most {
				break
			}
			delete(m.kept, k)
		}
	}
	m.kept[key] = remembered[V]{value, until}
}

// update replaces a value by what change makes of it.
func (m *memory[K, V]) update(key K, now time.Time, change func(value V, found bool) (V, time.Time)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, until := change(m.find(key, now))
	m.keep(key, value, now, until)
}
