package caddymodule_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// certificate writes a certificate for some names, with its key, and returns the
// pool of who trusts it.
func certificate(t testing.TB, certFile, keyFile string, names ...string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(parsed)
	return pool
}

// startTLS runs a site for known.test with TLS, and returns a client that sends
// server names and hosts as a test wants them, over HTTP/1.1 or HTTP/2.
func startTLS(t testing.TB, site string, vars ...string) (*caddyharness.Caddy, func(serverName string, protocols ...string) *http.Client) {
	t.Helper()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	// The certificate is for elsewhere.test too, as a wildcard would be: a browser
	// then shares the connection (RFC 9113 section 9.1.1).
	pool := certificate(t, cert, key, "known.test", "elsewhere.test")
	options := strings.Replace(gatewayOptions(""), "auto_https off", "auto_https disable_redirects", 1)
	c := startText(t, options+"https://known.test:$PORT {\n tls $CERT $KEY\n"+site+"\n}\n", append(vars, "$CERT", cert, "$KEY", key)...)
	address := strings.TrimPrefix(c.URL, "http://")
	return c, func(serverName string, protocols ...string) *http.Client {
		transport := &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: pool, ServerName: serverName, NextProtos: protocols},
			ForceAttemptHTTP2: protocols[0] == "h2",
		}
		transport.DialTLSContext = nil
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport, Timeout: 30 * time.Second}
	}
}

// Over TLS an unknown host is told that it has reached the wrong server: the client
// may open another connection for it (RFC 9110 section 15.5.20).
func TestUnknownHostOverTLSIsMisdirected(t *testing.T) {
	up := newUpstream(t)
	for name, site := range map[string]string{
		"a policy":            "gateway_errors\n gateway_auth /private\n reverse_proxy $UPSTREAM",
		"gateway_proxy alone": "gateway_proxy $UPSTREAM",
		"handle_errors alone": "reverse_proxy $UPSTREAM\n handle_errors {\n gateway_errors\n }",
	} {
		t.Run(name, func(t *testing.T) {
			_, client := startTLS(t, site, "$UPSTREAM", up.addr())
			for _, protocol := range []string{"http/1.1", "h2"} {
				for _, tc := range []struct {
					serverName, host string
					want             int
				}{
					{"known.test", "known.test", 200},
					{"known.test", "KNOWN.test:443", 200},
					{"known.test", "elsewhere.test", 421},
					{"known.test", "elsewhere.test:443", 421},
					{"known.test", "127.0.0.1", 421},
					{"known.test", "[::1]", 421},
				} {
					up.forget()
					r, err := http.NewRequest(http.MethodGet, "https://"+tc.serverName+"/open", nil)
					if err != nil {
						t.Fatal(err)
					}
					r.Host = tc.host
					answer, err := client(tc.serverName, protocol).Do(r)
					if err != nil {
						t.Fatalf("%s, %s for %s: %v", protocol, tc.serverName, tc.host, err)
					}
					_, _ = io.Copy(io.Discard, answer.Body)
					_ = answer.Body.Close()
					if want := map[string]int{"http/1.1": 1, "h2": 2}[protocol]; answer.ProtoMajor != want {
						t.Fatalf("got %s, want %s", answer.Proto, protocol)
					}
					if answer.StatusCode != tc.want || (up.count() != 0) != (tc.want == 200) {
						t.Errorf("%s, %s for %s: got %d, and %d requests upstream, want %d", protocol, tc.serverName, tc.host, answer.StatusCode, up.count(), tc.want)
					}
					if tc.want != 200 && (answer.Header.Get("Content-Type") != "application/json" || answer.Header.Get("X-Request-Id") == "") {
						t.Errorf("%s, %s for %s: got %v, want the format and a request id", protocol, tc.serverName, tc.host, answer.Header)
					}
				}
			}
		})
	}
}

// A server name that no certificate is for ends the handshake: no request is read.
// A server that takes it all the same, by default_sni, answers as for any host.
func TestUnknownServerName(t *testing.T) {
	up := newUpstream(t)
	c, client := startTLS(t, "gateway_errors\n gateway_auth\n reverse_proxy $UPSTREAM", "$UPSTREAM", up.addr())
	get := func(serverName, host, protocol string) int {
		t.Helper()
		caller := client(serverName, protocol)
		caller.Transport.(*http.Transport).TLSClientConfig.InsecureSkipVerify = true
		r, err := http.NewRequest(http.MethodGet, "https://any.test/open", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		answer, err := caller.Do(r)
		if err != nil {
			return 0
		}
		_ = answer.Body.Close()
		return answer.StatusCode
	}
	for _, protocol := range []string{"http/1.1", "h2"} {
		if got := get("unknown.test", "known.test", protocol); got != 0 {
			t.Errorf("%s: got %d for a server name without a certificate, want no answer", protocol, got)
		}
	}
	text := strings.Replace(gatewayOptions(""), "auto_https off", "auto_https disable_redirects\n\tdefault_sni known.test\n\tfallback_sni known.test", 1)
	if err := c.Reload(text + "https://known.test:$PORT {\n tls $CERT $KEY\n gateway_errors\n gateway_auth\n reverse_proxy $UPSTREAM\n}\n"); err != nil {
		t.Fatal(err)
	}
	for _, protocol := range []string{"http/1.1", "h2"} {
		if got := get("unknown.test", "unknown.test", protocol); got != http.StatusMisdirectedRequest {
			t.Errorf("%s: got %d for an unknown host under an unknown server name, want 421", protocol, got)
		}
		if got := get("unknown.test", "known.test", protocol); got != http.StatusUnauthorized {
			t.Errorf("%s: got %d for a known host under an unknown server name, want its policy's 401", protocol, got)
		}
	}
	if up.count() != 0 {
		t.Errorf("%d requests upstream, want none", up.count())
	}
}
