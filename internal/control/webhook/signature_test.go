package webhook_test

import (
	"context"
	"strings"
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

// People store a secret with a line end behind it, or as the console of Secrets Manager
// suggests. At GitHub it has neither.
func TestVerifier_TakesTheSecretAsPeopleStoreIt(t *testing.T) {
	const secret, body = "a secret, {as it is}", "body"
	for name, stored := range map[string]string{
		"plain": secret, "line end": secret + "\n", "of Windows": secret + "\r\n", "spaces": " \t" + secret + " ",
		"BOM": "\ufeff" + secret, "key and value": `{"secret":"` + secret + `"}`,
		"key and value with line ends": "{\n \"webhook\": \"" + secret + "\\n\"\n}\n",
	} {
		t.Run(name, func(t *testing.T) {
			for _, verifier := range []*webhook.Verifier{
				webhook.NewVerifier(fixed(stored)), webhook.NewVerifier(fixed("another"), fixed(stored)),
			} {
				require.NoError(t, verifier.Verify(t.Context(), []string{sign(secret, body)}, []byte(body)))
				require.ErrorIs(t, verifier.Verify(t.Context(), []string{sign("no", body)}, []byte(body)), webhook.ErrSignature)
				require.Error(t, verifier.Verify(t.Context(), []string{sign("", body)}, []byte(body)))
			}
		})
	}
	for _, stored := range []string{"as it is\n", `{"secret":"x"}`, `{"a":"x","b":"y"}`, `{not JSON`} {
		err := webhook.NewVerifier(fixed(stored)).Verify(t.Context(), []string{sign(stored, body)}, []byte(body))
		require.NoError(t, err, "who has entered the very same at GitHub has a secret that works")
	}
}

// Anybody could sign with what has no secret in it.
func TestVerifier_AValueWithoutASecretSignsNothing(t *testing.T) {
	const body = "body"
	for _, stored := range []string{
		"\n", " ", "\ufeff", "{}", " {}\n", "null", `{"":""}`, `{"secret":""}`, `{"secret":" "}`, `{"secret":null}`,
		`{"secret":[]}`, `{"a":"","b":""}`,
	} {
		for _, signed := range []string{stored, strings.TrimSpace(stored), ""} {
			err := webhook.NewVerifier(fixed(stored)).Verify(t.Context(), []string{sign(signed, body)}, []byte(body))
			require.Errorf(t, err, "%q with %q", stored, signed)
		}
	}
}

// With such a secret no signature would ever fit, and nobody would know why.
func TestVerifier_ReportsASecretThatCannotBeTold(t *testing.T) {
	const body = "body"
	for stored, text := range map[string]string{
		`{"webhook":"hidden-one","other":"hidden-two"}`: "JSON with 2 keys, must be plain text or JSON with one key",
		"{}\n":                              "JSON with 0 keys",
		`{"hidden-key":["hidden-value"]}`:   "JSON whose value is not text",
		`{"hidden-key":" "}`:                "JSON whose value is not text",
		`{"hidden-key":{"hidden-key":"x"}}`: "JSON whose value is not text",
	} {
		for _, signed := range []string{sign("hidden-one", body), sign("", body), sign(" ", body)} {
			err := webhook.NewVerifier(fixed(stored)).Verify(t.Context(), []string{signed}, []byte(body))
			require.ErrorIs(t, err, webhook.ErrSecret, stored)
			assert.ErrorContains(t, err, text)
			assert.NotContains(t, err.Error(), "hidden")
		}
	}
	verifier := webhook.NewVerifier(fixed("a"), fixed(`{"b":"b","c":"c"}`))
	err := verifier.Verify(t.Context(), []string{sign("b", body)}, []byte(body))
	require.ErrorIs(t, err, webhook.ErrSignature, "the current secret would fit")
	assert.ErrorContains(t, err, "JSON with 2 keys")
}
