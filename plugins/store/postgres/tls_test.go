//go:build unix

package postgres

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins/store/postgres/postgrestest"
)

// selfSigned makes a certificate that is its own CA, and its key.
func selfSigned(t *testing.T, names ...string) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
}

// sslmode decides, as in libpq, which server is trusted.
func TestTLS(t *testing.T) {
	srv := postgrestest.Start(t)
	certificate, key := selfSigned(t, "localhost")
	other, _ := selfSigned(t, "localhost")
	if err := srv.UseTLS(certificate, key); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca, wrong := file("ca.pem", certificate), file("other.pem", other)
	byAddress := tcp(srv, srv.NewDatabase(t))
	byName := strings.Replace(byAddress, "127.0.0.1", "localhost", 1)
	for name, c := range map[string]struct{ url, want string }{
		"encrypted, whoever it is":     {byAddress + "?sslmode=require", ""},
		"the right CA and name":        {byName + "?sslmode=verify-full&sslrootcert=" + ca, ""},
		"no CA named":                  {byName + "?sslmode=verify-full", "name the CA that signed the server's certificate"},
		"another CA":                   {byName + "?sslmode=verify-full&sslrootcert=" + wrong, "name the CA that signed the server's certificate"},
		"a name that it does not have": {byAddress + "?sslmode=verify-full&sslrootcert=" + ca, "connect by a name that is in the server's certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(t.Context(), mustParse(t, options(c.url)))
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("err = %v, want %q in it", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var encrypted bool
			if err := s.db.QueryRowContext(t.Context(), `SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()`).Scan(&encrypted); err != nil || !encrypted {
				t.Errorf("encrypted: %t, %v", encrypted, err)
			}
		})
	}
}
