//go:build unix

package postgres

import (
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
)

func TestParse(t *testing.T) {
	t.Setenv("PGSSLMODE", "")
	for _, c := range []struct {
		name     string
		url      string
		want     string // Target.String
		password string
	}{
		{"plain", "postgres://u:secret@localhost/gw", "postgres localhost:5432/gw", "secret"},
		{"other scheme", "postgresql://u:secret@localhost:6543/gw", "postgres localhost:6543/gw", "secret"},
		{"escapes", "postgres://u:%40%3A%2F%3F%23%25+@127.0.0.1/gw", "postgres 127.0.0.1:5432/gw", "@:/?#%+"},
		{"IPv6", "postgres://u@[::1]:6543/gw", "postgres [::1]:6543/gw", ""},
		{"socket", "postgres:///gw?host=/run/postgresql", "postgres /run/postgresql:5432/gw", ""},
		{"escaped socket", "postgres://u@%2Frun%2Fpostgresql/gw", "postgres /run/postgresql:5432/gw", ""},
		{"two hosts", "postgres://u:s@db-0:1,db-1:2/gw?sslmode=verify-full", "postgres db-0:1,db-1:2/gw", "s"},
		{"hosts of a weaker mode", "postgres://u:s@db-0,db-1/gw?sslmode=prefer", "postgres db-0:5432,db-1:5432/gw", "s"},
		{"line end of a file", " postgres://u:s@localhost/gw\n", "postgres localhost:5432/gw", "s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			target, err := Parse(options(c.url))
			if err != nil {
				t.Fatal(err)
			}
			if got := target.String(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if got := target.pool.ConnConfig.Password; got != c.password {
				t.Errorf("password %q, want %q", got, c.password)
			}
			if strings.Contains(target.pool.ConnString(), "secret") {
				t.Error("the driver's own copy of the URL has the password")
			}
		})
	}
}

func TestParseTakesOptions(t *testing.T) {
	target, err := Parse(Options{
		URL:      plugins.NewSecret("postgres://u@localhost/gw?default_query_exec_mode=exec&application_name=mine"),
		Password: plugins.NewSecret("p@:/?#% "), MaxConnections: 3, Timeout: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	conn := target.pool.ConnConfig
	if conn.Password != "p@:/?#% " || target.pool.MaxConns != 3 || target.timeout != time.Second || conn.RuntimeParams["application_name"] != "mine" {
		t.Errorf("got %q, %d, %s, %v", conn.Password, target.pool.MaxConns, target.timeout, conn.RuntimeParams)
	}
	target = mustParse(t, options("postgres://u@localhost/gw"))
	if target.pool.MaxConns != DefaultMaxConnections || target.timeout != DefaultTimeout || target.pool.ConnConfig.ConnectTimeout != connectTimeout {
		t.Errorf("got %d, %s, %s; want the defaults", target.pool.MaxConns, target.timeout, target.pool.ConnConfig.ConnectTimeout)
	}
	if target = mustParse(t, options("postgres://u@localhost/gw?pool_max_conns=7&connect_timeout=2")); target.pool.MaxConns != 7 || target.pool.ConnConfig.ConnectTimeout != 2*time.Second {
		t.Errorf("got %d, %s; want those of the URL", target.pool.MaxConns, target.pool.ConnConfig.ConnectTimeout)
	}
}

// Every way to write a URL wrongly is refused, and whatever stands in it the error
// has no part of the password.
func TestParseRefuses(t *testing.T) {
	t.Setenv("PGSSLMODE", "")
	for name, c := range map[string]struct{ url, want string }{
		"nothing":                   {"", "begins with postgres://"},
		"other database":            {"mysql://u:hunter2@localhost/gw", "begins with postgres://"},
		"keywords":                  {"host=localhost password=hunter2 dbname=gw", "begins with postgres://"},
		"no database":               {"postgres://u:hunter2@localhost", "names no database"},
		"slash in the password":     {"postgres://u:hunter2/x@localhost/gw", "can't be read"},
		"question mark in it":       {"postgres://u:hunter2?x@localhost/gw", "can't be read"},
		"hash in it":                {"postgres://u:hunter2#x@localhost/gw", "can't be read"},
		"at in it":                  {"postgres://u:hunter2@x@localhost/gw", "can't be read"},
		"colon in it":               {"postgres://u:hunter2:x@localhost/gw", "can't be read"},
		"percent in it":             {"postgres://u:hunter2%x@localhost/gw", "can't be read"},
		"blank in it":               {"postgres://u:hunter2 x@localhost/gw", "can't be read"},
		"no host":                   {"postgres://u:hunter2", "can't be read"},
		"no host, a database":       {"postgres://u:hunter2/gw", "can't be read"},
		"port":                      {"postgres://u:hunter2@localhost:x/gw", "can't be read"},
		"port above all":            {"postgres://u:hunter2@localhost:65536/gw", "can't be read"},
		"password as a parameter":   {"postgres://u@localhost/gw?password=hunter2", "a password is a parameter"},
		"escaped parameter":         {"postgres://u@localhost/gw?p%61ssword=hunter2", "a password is a parameter"},
		"mode":                      {"postgres://u:hunter2@localhost/gw?sslmode=on", "sslmode is invalid"},
		"certificate":               {"postgres://u:hunter2@localhost/gw?sslmode=verify-full&sslrootcert=/no/such/file", "/no/such/file"},
		"execution mode":            {"postgres://u:hunter2@localhost/gw?default_query_exec_mode=x", "invalid default_query_exec_mode"},
		"unencrypted":               {"postgres://u:hunter2@db.example.com/gw", "does not say whether the connection to db.example.com is encrypted"},
		"unencrypted address":       {"postgres://u:hunter2@10.0.0.1/gw", "does not say whether"},
		"unencrypted second":        {"postgres://u:hunter2@localhost,db-1/gw", "the connection to db-1"},
		"mode of another parameter": {"postgres://u:hunter2@db-1/gw?application_name=sslmode", "does not say whether"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(options(c.url))
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("err = %v\nwant %q in it", err, c.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("err = %v\nwhich has the password", err)
			}
		})
	}
	for name, o := range map[string]Options{
		"two passwords":        {URL: plugins.NewSecret("postgres://u:a@localhost/gw"), Password: plugins.NewSecret("b")},
		"negative connections": {URL: plugins.NewSecret("postgres://u@localhost/gw"), MaxConnections: -1},
		"many connections":     {URL: plugins.NewSecret("postgres://u@localhost/gw"), MaxConnections: 1 << 20},
		"negative timeout":     {URL: plugins.NewSecret("postgres://u@localhost/gw"), Timeout: -1},
		"tiny timeout":         {URL: plugins.NewSecret("postgres://u@localhost/gw"), Timeout: 1},
	} {
		if _, err := Parse(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzWithoutPassword(f *testing.F) {
	for _, text := range []string{"postgres://u:p@h:1,h2/db?a=b", "postgres://u:p@/db", "postgresql://[::1]/x", "postgres://:@", "x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		without, password, err := withoutPassword(text)
		if err != nil {
			return
		}
		if strings.Count(without, "@") > 1 || len(without) > len(text)+len("postgres://") {
			t.Errorf("%q became %q", text, without)
		}
		again, second, err := withoutPassword(without)
		if err != nil || again != without || second != "" {
			t.Errorf("%q became %q, %q, %v; want it as it is (password %q)", without, again, second, err, password)
		}
	})
}
