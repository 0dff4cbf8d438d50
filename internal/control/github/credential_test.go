package github_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/control/github"
)

// pemOf is the App's key as GitHub hands it out.
func (s *server) pemOf() string {
	var held struct {
		PrivateKey string `json:"private_key"`
	}
	require.NoError(s.t, json.Unmarshal([]byte(s.app()), &held))
	return held.PrivateKey
}

func quoted(text string) string {
	encoded, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(encoded)
}

func TestClient_ReadsCredentialsAsPeopleStoreThem(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	key, clientID := s.pemOf(), "Iv23liABCDEFGHIJKLMN"
	for name, test := range map[string]struct{ value, issuer string }{
		"token":                          {`{"token":"` + token + `"}`, ""},
		"token with a line end":          {`{"token":"` + token + `\n"}`, ""},
		"token with spaces":              {`{"token":" ` + token + `\r\n "}`, ""},
		"token behind a BOM":             {"\ufeff" + `{"token":"` + token + `"}`, ""},
		"token, and an App that is none": {`{"app_id":"","private_key":null,"token":"` + token + `"}`, ""},
		"token, in capitals":             {`{"Token":"` + token + `"}`, ""},
		"within line ends":               {"\r\n" + `{"token":"` + token + `"}` + "\n\n", ""},
		"id a number":                    {`{"app_id":12345,"private_key":` + quoted(key) + `}`, "12345"},
		"id a text":                      {`{"app_id":" 12345\n","private_key":` + quoted(key) + `}`, "12345"},
		"client id":                      {`{"client_id":"` + clientID + `","private_key":` + quoted(key) + `}`, clientID},
		"client id for the id":           {`{"app_id":"` + clientID + `","private_key":` + quoted(key) + `}`, clientID},
		"old client id": {
			`{"app_id":"Iv1.8a61f9b3a7aba766","private_key":` + quoted(key) + `}`,
			"Iv1.8a61f9b3a7aba766",
		},
		"both ids":          {`{"app_id":12345,"client_id":"` + clientID + `","private_key":` + quoted(key) + `}`, clientID},
		"key within spaces": {`{"app_id":12345,"private_key":` + quoted(" \n"+key+"\n\n") + `}`, "12345"},
		"key with its line ends twice": {
			`{"app_id":12345,"private_key":` + quoted(strings.ReplaceAll(key, "\n", `\n`)) + `}`,
			"12345",
		},
		"key of Windows": {
			`{"app_id":12345,"private_key":` + quoted(strings.ReplaceAll(key, "\n", "\r\n")) + `}`,
			"12345",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			s.issuer = test.issuer
			client, _ := s.client(org, &secret{value: test.value})
			require.NoError(t, register("")(t.Context(), client))
		})
	}
}

// A credential that cannot work is not GitHub's failure: the error says which part
// it is, and never what is in it.
func TestClient_SaysWhichPartOfACredentialCannotBeUsed(t *testing.T) {
	t.Parallel()
	const marker = "aPartThatMustNotBeSeenAnywhere"
	key := newServer(t).pemOf()
	elliptic, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(elliptic)
	require.NoError(t, err)
	ec := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	for name, test := range map[string]struct{ value, text string }{
		"token alone": {token, "it does not begin with {"},
		"key alone":   {key, "it is only a private key"},
		"text":        {`"` + token + `"`, "it is not an object"},
		"list":        {`["` + token + `"]`, "it is not an object"},
		"cut off":     {`{"token":"` + token, "it ends too early"},
		"no quotes":   {`{token:"` + token + `"}`, "it is not valid JSON from byte 2 on"},
		"two values":  {`{"token":"` + token + `"} {}`, "more than one value"},
		"UTF-16":      {"\xff\xfe{\x00}\x00", "it is in UTF-16"},
		"key with line ends": {
			`{"app_id":1,"private_key":"` + key + `"}`,
			`line ends within private_key must be written as \n`,
		},
		"extra keys": {
			`{"token":"` + token + `","note":"x","webhook_secret":"y"}`, `unknown keys: "note", "webhook_secret"; known are app_id, client_id, private_key, token`,
		},
		"token for a key":    {`{"` + token + `":""}`, "unknown keys: one that is not shown"},
		"text for a key":     {`{"` + marker + `-0123456789":""}`, "unknown keys: one that is not shown"},
		"token with a space": {`{"token":"` + marker + ` ` + marker + `"}`, "token has a space, a line end"},
		"token with a tail":  {`{"token":"` + token + `\nx"}`, "token has a space, a line end"},
		"token of others":    {`{"token":"` + marker + `é"}`, "token has a space, a line end"},
		"token a number":     {`{"token":12345678901234567890}`, "token must be text"},
		"empty token":        {`{"token":" \n"}`, "neither app_id and private_key nor token"},
		"id of words": {
			`{"app_id":"` + marker + `","private_key":` + quoted(key) + `}`,
			"app_id must be the App's id",
		},
		"id of an OAuth app": {
			`{"client_id":"Ov23` + marker + `","private_key":` + quoted(key) + `}`,
			"client_id must be the App's id",
		},
		"id a fraction": {`{"app_id":1.5,"private_key":` + quoted(key) + `}`, "app_id must be the App's id"},
		"id zero":       {`{"app_id":0,"private_key":` + quoted(key) + `}`, "app_id must be the App's id"},
		"no id": {
			`{"private_key":` + quoted(key) + `}`,
			"needs both app_id (or client_id) and private_key",
		},
		"no key": {
			`{"client_id":"Iv1.8a61f9b3a7aba766"}`,
			"needs both app_id (or client_id) and private_key",
		},
		"key a list": {`{"app_id":1,"private_key":["` + marker + `"]}`, "private_key must be text"},
		"key of one line": {
			`{"app_id":1,"private_key":` + quoted(strings.ReplaceAll(key, "\n", " ")) + `}`,
			"it has lost its line ends",
		},
		"key cut off":          {`{"app_id":1,"private_key":` + quoted(key[:500]) + `}`, "it is cut off or damaged"},
		"key without PEM":      {`{"app_id":1,"private_key":"` + marker + `"}`, "it does not begin with -----BEGIN"},
		"key of another kind":  {`{"app_id":1,"private_key":` + quoted(ec) + `}`, "it is another kind of key"},
		"both, and one unused": {`{"app_id":1,"token":"` + token + `"}`, "both an App and a token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			client, _ := s.client(org, &secret{value: test.value})
			err := register("")(t.Context(), client)
			require.ErrorIs(t, err, github.ErrCredential)
			require.NotErrorIs(t, err, github.ErrUnavailable)
			require.ErrorContains(t, err, test.text)
			for _, hidden := range []string{
				token, marker, "PRIVATE KEY", key[100:140], strings.Fields(ec)[3], "12345678901234567890",
			} {
				assert.NotContains(t, err.Error(), hidden)
			}
			assert.Empty(t, s.seen, "GitHub has nothing to do with it")
		})
	}
}
