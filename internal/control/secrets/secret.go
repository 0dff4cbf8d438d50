// Package secrets reads secrets from AWS Secrets Manager and keeps them for a
// while, so that a function need not ask at every invocation and still notices
// that a secret was replaced.
package secrets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/ecs-github-runners/ecsrunners/internal/control/clock"
)

// refreshInterval is the least time between two early refreshes. Whoever sends
// us signatures that do not match can cause a refresh, but no more of them.
const refreshInterval = 10 * time.Second

// A reading is tried twice, each for as long as readTimeout with what the client
// retries: the first may meet a connection that died while the function was
// frozen, and both together leave time to say that the store does not answer.
const (
	reads       = 2
	readTimeout = 1500 * time.Millisecond
)

// ErrEmpty says that a secret exists and is empty. It must not be used: anybody
// can sign with an empty secret.
var ErrEmpty = errors.New("secret is empty")

// Store is the part of the Secrets Manager client that a Secret needs.
type Store interface {
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
}

// Secret is one secret, read when it is needed. A value is used for its time to
// live and not longer; a failure to read is never remembered. Its methods may be
// called concurrently.
type Secret struct {
	store Store
	id    string
	ttl   time.Duration
	clock clock.Clock

	lock    chan struct{} // holds one token; a mutex that a context can interrupt
	value   []byte
	read    time.Time // when value was read
	refresh time.Time // when an early refresh was last tried
}

// New returns the secret with the given name or ARN. Nothing is read yet.
func New(store Store, id string, ttl time.Duration, clock clock.Clock) *Secret {
	return &Secret{store: store, id: id, ttl: ttl, clock: clock, lock: make(chan struct{}, 1)}
}

// Value returns the secret, read at most its time to live ago.
func (s *Secret) Value(ctx context.Context) ([]byte, error) {
	if err := s.acquire(ctx); err != nil {
		return nil, err
	}
	defer s.release()
	if s.value != nil && s.clock.Now().Sub(s.read) < s.ttl {
		return s.value, nil
	}
	return s.load(ctx)
}

// Refresh returns the secret as it is in the store now, for a caller whom the
// value it got from Value did not serve. It reads the store at most once in ten
// seconds, and returns the value it has in between.
func (s *Secret) Refresh(ctx context.Context) ([]byte, error) {
	if err := s.acquire(ctx); err != nil {
		return nil, err
	}
	defer s.release()
	now := s.clock.Now()
	if s.value != nil && (now.Sub(s.read) < refreshInterval || now.Sub(s.refresh) < refreshInterval) {
		return s.value, nil
	}
	s.refresh = now
	return s.load(ctx)
}

// load reads the secret. On failure, an older value stays for as long as its
// time to live allows.
func (s *Secret) load(ctx context.Context) ([]byte, error) {
	out, err := s.ask(ctx)
	for i := 1; i < reads && errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil; i++ {
		out, err = s.ask(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("reading secret: %w", err)
	}
	value := out.SecretBinary
	if out.SecretString != nil {
		value = []byte(*out.SecretString)
	}
	if len(bytes.TrimSpace(value)) == 0 {
		return nil, fmt.Errorf("reading secret: %w", ErrEmpty)
	}
	s.value, s.read = value, s.clock.Now()
	return value, nil
}

// ask makes one attempt.
func (s *Secret) ask(ctx context.Context) (*secretsmanager.GetSecretValueOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return s.store.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &s.id})
}

func (s *Secret) acquire(ctx context.Context) error {
	select {
	case s.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for secret: %w", ctx.Err())
	}
}

func (s *Secret) release() { <-s.lock }
