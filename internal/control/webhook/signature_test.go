package webhook_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/control/webhook"
)

// fixed is a secret that never changes.
type fixed string

func (f fixed) Value(context.Context) ([]byte, error)   { return []byte(f), nil }
func (f fixed) Refresh(context.Context) ([]byte, error) { return []byte(f), nil }

func TestVerifier(t *testing.T) {
	const body = "body"
	for name, test := range map[string]struct {
		verifier *webhook.Verifier
		header   []string
		want     error
	}{
		"right":                  {webhook.NewVerifier(fixed("a")), []string{sign("a", body)}, nil},
		"of the previous secret": {webhook.NewVerifier(fixed("a"), fixed("b")), []string{sign("b", body)}, nil},
		"wrong": {
			webhook.NewVerifier(fixed("a"), fixed("b")),
			[]string{sign("c", body)},
			webhook.ErrSignature,
		},
		"of an empty secret": {webhook.NewVerifier(fixed("")), []string{sign("", body)}, webhook.ErrSignature},
		"none":               {webhook.NewVerifier(fixed("a")), nil, webhook.ErrNoSignature},
		"two headers": {
			webhook.NewVerifier(fixed("a")),
			[]string{sign("a", body), sign("a", body)},
			webhook.ErrSignatureFormat,
		},
		"too short": {webhook.NewVerifier(fixed("a")), []string{"sha256=00"}, webhook.ErrSignatureFormat},
		"malformed": {webhook.NewVerifier(fixed("a")), []string{"sha256=0"}, webhook.ErrSignatureFormat},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorIs(t, test.verifier.Verify(t.Context(), test.header, []byte(body)), test.want)
		})
	}
	err := webhook.NewVerifier(fixed("a")).Verify(t.Context(), []string{sign("b", body)}, []byte(body))
	assert.NotContains(t, err.Error(), sign("b", body)[7:])
	assert.NotContains(t, err.Error(), sign("a", body)[7:])
}
