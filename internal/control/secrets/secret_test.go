package secrets_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/control/clock"
	"github.com/ecs-github-runners/ecsrunners/internal/control/secrets"
)

var errDown = errors.New("store is down")

// store is a Secrets Manager with one secret.
type store struct {
	lock   sync.Mutex
	value  string
	binary []byte
	err    error
	delay  time.Duration
	reads  int
}

func (s *store) GetSecretValue(ctx context.Context, in *secretsmanager.GetSecretValueInput,
	_ ...func(*secretsmanager.Options),
) (*secretsmanager.GetSecretValueOutput, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.reads++
	if err := (clock.System{}).Sleep(ctx, s.delay); err != nil {
		return nil, err
	}
	if s.err != nil {
		return nil, s.err
	}
	if *in.SecretId != "id" {
		return nil, errors.New("no such secret")
	}
	if s.binary != nil {
		return &secretsmanager.GetSecretValueOutput{SecretBinary: s.binary}, nil
	}
	return &secretsmanager.GetSecretValueOutput{SecretString: aws.String(s.value)}, nil
}

const ttl = 5 * time.Minute

func TestSecret_IsReadOnceInItsTimeToLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{value: "one"}
		secret := secrets.New(s, "id", ttl, clock.System{})
		want := func(value string, reads int) {
			t.Helper()
			got, err := secret.Value(t.Context())
			require.NoError(t, err)
			assert.Equal(t, value, string(got))
			assert.Equal(t, reads, s.reads)
		}
		assert.Zero(t, s.reads, "nothing is read before it is needed")
		want("one", 1)
		s.value = "two"
		time.Sleep(ttl - time.Nanosecond)
		want("one", 1)
		time.Sleep(time.Nanosecond)
		want("two", 2)
	})
}

func TestSecret_FailureIsNotRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{value: "one", err: errDown}
		secret := secrets.New(s, "id", ttl, clock.System{})
		for range 2 {
			_, err := secret.Value(t.Context())
			require.ErrorIs(t, err, errDown)
		}
		s.err = nil
		got, err := secret.Value(t.Context())
		require.NoError(t, err, "the store is up again, and nobody had to wait")
		assert.Equal(t, "one", string(got))
		assert.Equal(t, 3, s.reads)

		s.err = errDown
		time.Sleep(ttl)
		_, err = secret.Value(t.Context())
		assert.ErrorIs(t, err, errDown, "a value past its time to live may have been withdrawn")
	})
}

func TestSecret_RefreshReadsAtMostOnceInTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{value: "one"}
		secret := secrets.New(s, "id", ttl, clock.System{})
		want := func(value string, reads int) {
			t.Helper()
			got, err := secret.Refresh(t.Context())
			require.NoError(t, err)
			assert.Equal(t, value, string(got))
			assert.Equal(t, reads, s.reads)
		}
		want("one", 1)
		s.value = "two"
		time.Sleep(9 * time.Second)
		want("one", 1)
		time.Sleep(time.Second)
		want("two", 2)

		// A refresh that fails counts too: the store must not be asked at the rate
		// at which wrong signatures arrive.
		time.Sleep(10 * time.Second)
		s.err = errDown
		_, err := secret.Refresh(t.Context())
		require.ErrorIs(t, err, errDown)
		want("two", 3)
		got, err := secret.Value(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "two", string(got), "a failed refresh does not take the value away")
	})
}

func TestSecret_FailsWhenEmpty(t *testing.T) {
	for name, s := range map[string]*store{
		"empty":       {value: ""},
		"white space": {value: " \n"},
		"no bytes":    {binary: []byte{}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := secrets.New(s, "id", ttl, clock.System{}).Value(t.Context())
			assert.ErrorIs(t, err, secrets.ErrEmpty, "anybody can sign with an empty secret")
		})
	}
}

func TestSecret_MayBeBinary(t *testing.T) {
	got, err := secrets.New(&store{binary: []byte{0, 1}}, "id", ttl, clock.System{}).Value(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []byte{0, 1}, got)
}

func TestSecret_DoesNotWaitForASlowStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{value: "one", delay: time.Hour}
		secret := secrets.New(s, "id", ttl, clock.System{})
		begin := time.Now()
		_, err := secret.Value(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 3*time.Second, time.Since(begin), "GitHub must be answered within ten seconds")

		// Whoever comes second waits for the first, but not longer than it wants to.
		go func() { _, _ = secret.Value(t.Context()) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = secret.Refresh(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = secret.Value(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestSecret_IsReadOnceForManyAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{value: "one", delay: time.Second}
		secret := secrets.New(s, "id", ttl, clock.System{})
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				got, err := secret.Value(t.Context())
				assert.NoError(t, err)
				assert.Equal(t, "one", string(got))
			})
		}
		all.Wait()
		assert.Equal(t, 1, s.reads)
	})
}
