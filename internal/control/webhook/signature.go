package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

const (
	signatureHeader = "X-Hub-Signature-256"
	signaturePrefix = "sha256="
)

var (
	// ErrNoSignature says that a delivery is not signed with SHA-256.
	ErrNoSignature = errors.New("signature is missing")
	// ErrSignatureFormat says that a signature is not one of GitHub's form.
	ErrSignatureFormat = errors.New("signature is malformed")
	// ErrSignature says that a signature was not made with one of the configured secrets.
	ErrSignature = errors.New("signature does not match")
	// ErrSecret says that a signature could not be checked for want of a secret.
	ErrSecret = errors.New("secret is unavailable")

	errForm = errors.New("the webhook's secret cannot be used")
)

// Secret is a webhook secret that is kept for some time.
type Secret interface {
	// Value returns the secret.
	Value(context.Context) ([]byte, error)
	// Refresh returns the secret as it is now, as far as it may be asked for.
	Refresh(context.Context) ([]byte, error)
}

// Verifier checks the signatures of deliveries against one or several secrets.
type Verifier struct {
	secrets []Secret
}

// NewVerifier returns a Verifier that accepts what is signed with the current
// secret or with one of the previous ones.
func NewVerifier(current Secret, previous ...Secret) *Verifier {
	return &Verifier{secrets: append([]Secret{current}, previous...)}
}

// Verify checks the values of the signature header against the bytes of the
// body. When no secret fits, each is refreshed, as one may have been replaced a
// moment ago.
func (v *Verifier) Verify(ctx context.Context, header []string, body []byte) error {
	signature, err := parseSignature(header)
	if err != nil {
		return err
	}
	var unread []error
	for _, secret := range v.secrets {
		value, err := secret.Value(ctx)
		if err != nil {
			unread = append(unread, err)
		} else if signs(value, signature, body) {
			return nil
		}
	}
	if len(unread) > 0 {
		return fmt.Errorf("%w: %w", ErrSecret, errors.Join(unread...))
	}
	var unusable []error
	for _, secret := range v.secrets {
		value, err := secret.Refresh(ctx)
		if err != nil {
			unread = append(unread, err)
			continue
		}
		if signs(value, signature, body) {
			return nil
		}
		if err := checkForm(value); err != nil {
			unusable = append(unusable, err)
		}
	}
	if len(unread) > 0 { // with the secret as it is now, the signature might fit
		return fmt.Errorf("%w: %w", ErrSecret, errors.Join(unread...))
	}
	switch {
	case len(unusable) == len(v.secrets): // no signature would fit
		return fmt.Errorf("%w: %w", ErrSecret, errors.Join(unusable...))
	case len(unusable) > 0:
		return fmt.Errorf("%w: %w", ErrSignature, errors.Join(unusable...))
	}
	return ErrSignature
}

func parseSignature(header []string) ([]byte, error) {
	if len(header) == 0 || header[0] == "" {
		return nil, ErrNoSignature
	}
	digits, ok := strings.CutPrefix(header[0], signaturePrefix)
	if !ok || len(header) > 1 || len(digits) != hex.EncodedLen(sha256.Size) {
		return nil, ErrSignatureFormat
	}
	signature, err := hex.DecodeString(digits)
	if err != nil {
		return nil, ErrSignatureFormat // the error quotes the signature
	}
	return signature, nil
}

// signs reports whether signature is the one that the secret in a stored value makes
// for body. A value without a secret in it, such as {"":""}, signs nothing: anybody
// could guess it.
func signs(value, signature, body []byte) bool {
	for _, secret := range forms(value) {
		mac := hmac.New(sha256.New, secret)
		mac.Write(body)
		if hmac.Equal(mac.Sum(nil), signature) && len(secret) > 0 {
			return true
		}
	}
	return false
}

// forms are the secrets that a stored value may stand for, the likeliest first. Editors
// leave a line end behind it, and the console of Secrets Manager stores a key with a
// value unless it is told to store plain text. What people enter at GitHub has neither.
func forms(value []byte) [][]byte {
	trimmed := trim(value)
	object := keysAndValues(trimmed)
	if len(trimmed) == 0 || string(trimmed) == "null" || object != nil && !slices.ContainsFunc(slices.Collect(maps.Values(object)), holdsText) {
		return nil
	}
	found := [][]byte{trimmed}
	if len(trimmed) < len(value) {
		found = append(found, value)
	}
	if len(object) == 1 {
		for _, element := range object {
			var text string
			if json.Unmarshal(element, &text) == nil {
				found = append(found, trim([]byte(text)))
			}
		}
	}
	return found
}

// holdsText reports whether there is anything in a JSON value but its form.
func holdsText(element json.RawMessage) bool {
	var text string
	if json.Unmarshal(element, &text) == nil {
		return len(trim([]byte(text))) > 0
	}
	return bytes.ContainsFunc(element, func(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) })
}

// trim takes away what is around a secret, a byte order mark included.
func trim(value []byte) []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(value), []byte("\ufeff")))
}

// keysAndValues are those of a JSON object, and nil if a value is none.
func keysAndValues(value []byte) map[string]json.RawMessage {
	if !bytes.HasPrefix(value, []byte("{")) {
		return nil
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(value, &object) != nil {
		return nil
	}
	return object
}

// checkForm reports a stored value in which there is no telling the secret. Nothing of
// it is in the error.
func checkForm(value []byte) error {
	object := keysAndValues(trim(value))
	switch {
	case object == nil:
		return nil
	case len(object) != 1:
		return fmt.Errorf("%w: it is JSON with %d keys, must be plain text or JSON with one key", errForm, len(object))
	}
	for _, element := range object {
		var text string
		if json.Unmarshal(element, &text) != nil || len(trim([]byte(text))) == 0 {
			return fmt.Errorf("%w: it is JSON whose value is not text, must be plain text or JSON with one key", errForm)
		}
	}
	return nil
}
