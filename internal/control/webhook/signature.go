package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
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
	for _, secret := range v.secrets {
		value, err := secret.Refresh(ctx)
		if err != nil {
			unread = append(unread, err)
		} else if signs(value, signature, body) {
			return nil
		}
	}
	if len(unread) > 0 { // with the secret as it is now, the signature might fit
		return fmt.Errorf("%w: %w", ErrSecret, errors.Join(unread...))
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

// signs reports whether signature is the one that secret makes for body. An
// empty secret signs nothing.
func signs(secret, signature, body []byte) bool {
	mac := hmac.New(sha256.New, secret)
	mac.Write(body)
	return hmac.Equal(mac.Sum(nil), signature) && len(secret) > 0
}
