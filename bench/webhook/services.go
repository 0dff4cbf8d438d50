package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

const roleServices = "services"

// services is the process that plays EventBridge and Secrets Manager.
type services struct {
	process     *process
	certificate string // file
	input       io.WriteCloser
	output      *bufio.Reader
	address     string
}

// startServices starts the process and writes its certificate to a file.
func startServices(certificate string) (*services, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	input, stdin, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	stdout, output, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	p, err := start(nil, input, output, self, "-role", roleServices)
	if err != nil {
		return nil, err
	}
	s := &services{process: p, certificate: certificate, input: stdin, output: bufio.NewReader(stdout)}
	var greeting greeting
	if err := s.receive(&greeting); err != nil {
		return nil, err
	}
	s.address = greeting.Address
	if err := os.WriteFile(certificate, []byte(greeting.Certificate), 0o600); err != nil {
		return nil, fmt.Errorf("writing the certificate: %w", err)
	}
	return s, nil
}

// environment returns the variables that lead the AWS SDK to the process.
func (s *services) environment() []string {
	return []string{"AWS_ENDPOINT_URL=https://" + s.address, "AWS_CA_BUNDLE=" + s.certificate}
}

// connections returns the number of connections accepted so far.
func (s *services) connections() (int, error) {
	if _, err := fmt.Fprintln(s.input); err != nil {
		return 0, fmt.Errorf("asking for connections: %w", err)
	}
	var n int
	err := s.receive(&n)
	return n, err
}

func (s *services) receive(v any) error {
	line, err := s.output.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("reading from services: %w", err)
	}
	if err := json.Unmarshal(line, v); err != nil {
		return fmt.Errorf("reading from services: %w", err)
	}
	return nil
}

func (s *services) stop() { s.process.stop() }

// greeting is the first line the process writes.
type greeting struct {
	Address     string
	Certificate string // PEM
}

// serveServices is the process: it answers every PutEvents with success, every
// GetSecretValue with the secret, and every line of its input with the number of
// connections. It speaks HTTP/1.1, as do the endpoints of these services.
func serveServices(in io.Reader, out io.Writer) error {
	certificate, encoded, err := newCertificate()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	var connections atomic.Int64
	server := &http.Server{
		Handler:           http.HandlerFunc(serveService),
		ReadHeaderTimeout: time.Minute,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
		TLSNextProto:      map[string]func(*http.Server, *tls.Conn, http.Handler){},
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				connections.Add(1)
			}
		},
	}
	failed := make(chan error, 1)
	go func() { failed <- server.ServeTLS(listener, "", "") }()
	encoder := json.NewEncoder(out)
	if err := encoder.Encode(greeting{Address: listener.Addr().String(), Certificate: encoded}); err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if err := encoder.Encode(connections.Load()); err != nil {
			return fmt.Errorf("reporting connections: %w", err)
		}
	}
	select {
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	default:
		return lines.Err()
	}
}

func serveService(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-RequestId", "22222222-2222-4222-8222-222222222222")
	switch _, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), "."); operation {
	case "PutEvents":
		_, _ = io.WriteString(w, `{"Entries":[{"EventId":"33333333-3333-4333-8333-333333333333"}],"FailedEntryCount":0}`)
	case "GetSecretValue":
		_, _ = io.WriteString(w, `{"Name":"webhook","SecretString":"`+secret+`"}`)
	default:
		http.Error(w, "unknown operation", http.StatusBadRequest)
	}
}

// newCertificate makes a certificate for the loopback interface.
func newCertificate() (tls.Certificate, string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, "", fmt.Errorf("making a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "services"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, "", fmt.Errorf("making a certificate: %w", err)
	}
	encoded := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if encoded == nil {
		return tls.Certificate{}, "", errors.New("making a certificate: cannot be encoded")
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(encoded), nil
}
