package bundle

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// Builder builds programs side by side, and each but once.
type Builder struct {
	cache  Cache
	log    io.Writer
	mutex  sync.Mutex
	builds map[string]func() ([]byte, error) // by hash
}

// Default builds for this process, and keeps what it has built for the next.
var Default = NewBuilder(UserCache(), os.Stderr)

// NewBuilder makes a builder. What takes long, which is what the cache does not
// have, is announced in the log.
func NewBuilder(cache Cache, log io.Writer) *Builder {
	return &Builder{cache: cache, log: log, builds: map[string]func() ([]byte, error){}}
}

// Start begins to build a program, for a Build to come. It does not wait.
func (b *Builder) Start(p Program) {
	if hash, err := p.Hash(); err == nil { // Build reports the error
		go b.start(p, hash)() //nolint:errcheck // Build gets the same error, and reports it
	}
}

// Build writes the program as Binary into an existing folder, as soon as it is
// built. It returns ErrNoGo when it is not in the cache and Go is missing; when the
// build fails, the error has the compiler's output.
func (b *Builder) Build(p Program, folder string) error {
	hash, err := p.Hash()
	if err != nil {
		return err
	}
	binary, err := b.start(p, hash)()
	if err != nil {
		return err
	}
	file := filepath.Join(folder, Binary)
	if err := os.WriteFile(file, binary, 0o755); err != nil {
		return fmt.Errorf("writing %s: %w", p.Package, err)
	}
	return nil
}

// start returns the build of a program, the same function each time.
func (b *Builder) start(p Program, hash string) func() ([]byte, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	build, found := b.builds[hash]
	if !found {
		build = sync.OnceValues(func() ([]byte, error) { return b.build(p, hash) })
		b.builds[hash] = build
	}
	return build
}

func (b *Builder) build(p Program, hash string) ([]byte, error) {
	if binary, found := b.cache.get(hash); found {
		return binary, nil
	}
	if _, err := exec.LookPath("go"); err != nil {
		return nil, ErrNoGo
	}
	begun := time.Now()
	b.say("building %s (linux/%s); a first build downloads its modules and takes a minute or two", p.Package, p.Environment["GOARCH"])
	binary, err := p.build()
	if err != nil {
		return nil, err
	}
	b.say("built %s in %.1f s", p.Package, time.Since(begun).Seconds())
	if err := b.cache.put(hash, binary); err != nil {
		b.say("%s will be built again next time: %v", p.Package, err)
	}
	return binary, nil
}

func (b *Builder) say(format string, args ...any) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	fmt.Fprintf(b.log, "ecsrunners: "+format+"\n", args...)
}
