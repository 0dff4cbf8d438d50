package github

import (
	"bytes"
	"crypto/rsa"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/golang-jwt/jwt/v4"

	"github.com/ecs-github-runners/ecsrunners/internal/contract/credential"
	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
)

// ErrCredential says that the secret holds no usable credential.
var ErrCredential = errors.New("credential for GitHub")

// login is what the secret holds: an App's id and key, or a token.
type login struct {
	issuer string // the App's id or client id
	key    *rsa.PrivateKey
	token  string
}

// The keys of the secret.
const (
	keyAppID      = "app_id"
	keyClientID   = "client_id"
	keyPrivateKey = "private_key"
	keyToken      = "token"
)

const credentialForm = `the secret must be JSON, {"app_id": 12345, "private_key": "…"} or {"token": "…"}`

func unusable(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrCredential}, args...)...)
}

// parseCredential reads a credential. Its errors say which part of it cannot be
// used, and quote nothing of it.
func parseCredential(value []byte, scope registrationcontract.Scope) (login, error) {
	values, err := members(value)
	if err != nil {
		return login{}, err
	}
	app := values[keyAppID] != nil || values[keyClientID] != nil || values[keyPrivateKey] != nil
	token := values[keyToken] != nil
	switch {
	case app && token:
		return login{}, unusable("the secret has both an App and a token; one of them is enough")
	case app && scope.Kind == registrationcontract.ScopeEnterprise:
		return login{}, unusable("GitHub lets no App register runners of an enterprise; it takes a token")
	case app:
		return parseApp(values)
	case token:
		return parseToken(values[keyToken])
	default:
		return login{}, unusable("the secret has neither app_id and private_key nor token")
	}
}

// members are the known keys of the secret with their values, without those that say
// nothing.
func members(value []byte) (map[string]any, error) {
	value = bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(value), []byte("\ufeff")))
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return nil, notJSON(value, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, unusable("%s: there is more than one value", credentialForm)
	}
	object, ok := tree.(map[string]any)
	if !ok {
		return nil, unusable("%s: it is not an object", credentialForm)
	}
	known := []string{keyAppID, keyClientID, keyPrivateKey, keyToken}
	found := map[string]any{}
	var unknown []string
	for _, given := range slices.Sorted(maps.Keys(object)) {
		key := strings.ToLower(strings.TrimSpace(given))
		if !slices.Contains(known, key) {
			unknown = append(unknown, shownKey(given))
			continue
		}
		element := object[given]
		if text, ok := element.(string); ok {
			element = strings.TrimSpace(text)
		}
		if element != nil && element != "" {
			found[key] = element
		}
	}
	if len(unknown) > 0 {
		return nil, unusable("the secret has unknown keys: %s; known are %s", strings.Join(unknown, ", "), strings.Join(known, ", "))
	}
	return found, nil
}

var plainKey = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,31}$`)

// shownKey is a key as an error names it. What stands in the place of a key may be
// the credential.
func shownKey(key string) string {
	if !plainKey.MatchString(key) || credential.In(key) {
		return "one that is not shown"
	}
	return strconv.Quote(key)
}

// notJSON says what is wrong with a secret that is no JSON. The decoder's own errors
// quote some of it.
func notJSON(value []byte, err error) error {
	var syntax *json.SyntaxError
	switch {
	case bytes.HasPrefix(value, []byte("\xff\xfe")), bytes.HasPrefix(value, []byte("\xfe\xff")):
		return unusable("%s, in UTF-8: it is in UTF-16", credentialForm)
	case bytes.HasPrefix(value, []byte("-----BEGIN")):
		return unusable("%s: it is only a private key", credentialForm)
	case !bytes.HasPrefix(value, []byte("{")):
		return unusable("%s: it does not begin with {", credentialForm)
	case bytes.Contains(value, []byte("-----BEGIN")) && errors.As(err, &syntax) && syntax.Offset > 0 &&
		bytes.ContainsAny(value[syntax.Offset-1:min(syntax.Offset, int64(len(value)))], "\r\n"):
		return unusable(`%s: the line ends within private_key must be written as \n`, credentialForm)
	case errors.As(err, &syntax):
		return unusable("%s: it is not valid JSON from byte %d on", credentialForm, syntax.Offset)
	default:
		return unusable("%s: it ends too early", credentialForm)
	}
}

func parseApp(values map[string]any) (login, error) {
	var l login
	for _, key := range []string{keyAppID, keyClientID} { // GitHub recommends the latter
		if values[key] == nil {
			continue
		}
		if l.issuer = issuer(values[key]); l.issuer == "" {
			return login{}, unusable(`%s must be the App's id, such as 12345, or its client id, such as "Iv23liABCDEFGHIJKLMN"`, key)
		}
	}
	if l.issuer == "" || values[keyPrivateKey] == nil {
		return login{}, unusable("an App needs both app_id (or client_id) and private_key")
	}
	key, err := parseKey(values[keyPrivateKey])
	if err != nil {
		return login{}, err
	}
	l.key = key
	return l, nil
}

var (
	appID    = regexp.MustCompile(`^[1-9][0-9]{0,18}$`)
	clientID = regexp.MustCompile(`^Iv[A-Za-z0-9.]{4,60}$`)
)

// issuer is the id of an App, a number or a text, or its client id, and empty for
// what is neither.
// https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app#about-json-web-tokens-jwts
func issuer(value any) string {
	text := fmt.Sprint(value)
	_, isText := value.(string)
	if appID.MatchString(text) || isText && clientID.MatchString(text) {
		return text
	}
	return ""
}

// parseKey reads a key in PEM. Its line ends may be written as \n a second time, as
// in a variable of a shell.
func parseKey(value any) (*rsa.PrivateKey, error) {
	text, ok := value.(string)
	if !ok {
		return nil, unusable("private_key must be text, the key in PEM")
	}
	text = strings.NewReplacer(`\r\n`, "\n", `\n`, "\n").Replace(text)
	block, _ := pem.Decode([]byte(text))
	switch {
	case block == nil && strings.HasPrefix(text, "-----BEGIN") && !strings.Contains(text, "\n"):
		return nil, unusable("private_key is no RSA key in PEM: it has lost its line ends")
	case block == nil && strings.HasPrefix(text, "-----BEGIN"):
		return nil, unusable("private_key is no RSA key in PEM: it is cut off or damaged")
	case block == nil:
		return nil, unusable("private_key is no RSA key in PEM: it does not begin with -----BEGIN")
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(text))
	if err != nil { // it may quote the key
		return nil, unusable("private_key is no RSA key in PEM: it is another kind of key, or damaged")
	}
	return key, nil
}

// A token that cannot stand in the header of a request is not sent at all.
var tokenText = regexp.MustCompile(`^[\x21-\x7e]+$`)

func parseToken(value any) (login, error) {
	text, ok := value.(string)
	switch {
	case !ok:
		return login{}, unusable("token must be text")
	case !tokenText.MatchString(text):
		return login{}, unusable("token has a space, a line end or another character in it that tokens do not have")
	}
	return login{token: text}, nil
}

// transport signs requests as the App.
func (l login) transport(next http.RoundTripper) (*ghinstallation.AppsTransport, error) {
	app, err := ghinstallation.NewAppsTransportWithOptions(next, 0, ghinstallation.WithSigner(l))
	if err != nil {
		return nil, fmt.Errorf("signing as the App: %w", err)
	}
	return app, nil
}

// Sign implements ghinstallation.Signer: the library knows Apps by their numbers only.
func (l login) Sign(claims jwt.Claims) (string, error) {
	if registered, ok := claims.(*jwt.RegisteredClaims); ok {
		registered.Issuer = l.issuer
	}
	return jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(l.key)
}
