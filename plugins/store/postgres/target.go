package postgres

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ainative/portcullis/plugins"
)

// What Options have by default.
const (
	// DefaultMaxConnections: a gateway asks the store for keys that it has not seen
	// lately, and once in 0.4 seconds for changes; few connections carry that.
	DefaultMaxConnections = 10
	// DefaultTimeout of one operation.
	DefaultTimeout = 5 * time.Second

	// maxConnections is what no server takes from one client.
	maxConnections = 10_000
	// connectTimeout bounds one attempt to connect.
	connectTimeout = 5 * time.Second
	// The ages after which connections are closed, so that a pooler or a changed name
	// in DNS is heard of.
	maxConnectionAge    = 30 * time.Minute
	maxConnectionJitter = 5 * time.Minute
	maxConnectionIdle   = 5 * time.Minute
	healthCheckPeriod   = 30 * time.Second
)

// Options say where the database is.
type Options struct {
	// URL in the form of libpq: postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full,
	// where USER needs the right to make tables for the first start of a release.
	// Several hosts, separated by commas, are tried for one that can be written to; a
	// HOST that begins with / (%2F) is the directory of a Unix socket. What it does
	// not say comes from PGHOST, PGUSER and so on, and from ~/.pgpass.
	URL plugins.Secret
	// Password replaces the one of the URL. It needs no escapes.
	Password plugins.Secret
	// MaxConnections bounds the pool. Default: DefaultMaxConnections.
	MaxConnections int
	// Timeout bounds one operation. Default: DefaultTimeout.
	Timeout time.Duration
}

// Target is a database that can be opened.
type Target struct {
	pool    *pgxpool.Config
	timeout time.Duration
}

// errURL is the error of a URL that can't be read. It does not say where: what is
// there may be a part of the password.
var errURL = errors.New("the URL can't be read: write postgres://USER:PASSWORD@HOST:5432/DATABASE, " +
	"with @ : / ? # % of the password as %40 %3A %2F %3F %23 %25, or the password apart")

// Parse reads options. It connects to nobody. Errors have no part of a secret.
func Parse(o Options) (*Target, error) {
	text, password, err := withoutPassword(strings.TrimSpace(o.URL.Reveal()))
	if err != nil {
		return nil, err
	}
	// The driver's errors quote what it reads: it gets a URL without the password.
	pool, err := pgxpool.ParseConfig(text)
	if err != nil {
		return nil, fmt.Errorf("reading the URL: %w", err)
	}
	conn := pool.ConnConfig
	if !o.Password.Empty() {
		if password != "" {
			return nil, errors.New("the password is in the URL and given apart: keep one")
		}
		password = o.Password.Reveal()
	}
	if password != "" {
		conn.Password = password
	}
	if conn.Database == "" {
		// libpq would take the name of the user.
		return nil, errors.New("the URL names no database: write postgres://USER:PASSWORD@HOST:5432/DATABASE")
	}
	if err := checkTransport(text, pool); err != nil {
		return nil, err
	}
	switch {
	case o.MaxConnections < 0 || o.MaxConnections > maxConnections:
		return nil, fmt.Errorf("%d connections: write a number from 1 to %d", o.MaxConnections, maxConnections)
	case o.MaxConnections > 0:
		pool.MaxConns = int32(o.MaxConnections)
	case !hasParameter(text, "pool_max_conns"):
		pool.MaxConns = DefaultMaxConnections
	}
	if o.Timeout < 0 || o.Timeout > 0 && o.Timeout < time.Millisecond {
		return nil, fmt.Errorf("a timeout of %s: write one like 5s", o.Timeout)
	}
	timeout := cmp.Or(o.Timeout, DefaultTimeout)

	pool.MaxConnLifetime, pool.MaxConnLifetimeJitter = maxConnectionAge, maxConnectionJitter
	pool.MaxConnIdleTime, pool.HealthCheckPeriod = maxConnectionIdle, healthCheckPeriod
	if conn.ConnectTimeout == 0 {
		conn.ConnectTimeout = connectTimeout
	}
	// Whatever the URL says: a replica may be behind, and on it a revoked key is good.
	conn.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	if conn.RuntimeParams["application_name"] == "" {
		conn.RuntimeParams["application_name"] = "portcullis"
	}
	return &Target{pool: pool, timeout: timeout}, nil
}

// String names the database, without user and password.
func (t *Target) String() string {
	var hosts []string
	for _, h := range t.hosts() {
		if len(hosts) == 0 || hosts[len(hosts)-1] != h {
			hosts = append(hosts, h)
		}
	}
	return "postgres " + strings.Join(hosts, ",") + "/" + t.pool.ConnConfig.Database
}

func (t *Target) hosts() []string {
	conn := t.pool.ConnConfig
	hosts := []string{hostPort(conn.Host, conn.Port)}
	for _, f := range conn.Fallbacks {
		hosts = append(hosts, hostPort(f.Host, f.Port))
	}
	return hosts
}

func hostPort(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// withoutPassword takes the password out of a URL, of which it reads as much as it
// needs to be sure that nothing of the password is left.
func withoutPassword(text string) (without, password string, err error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || scheme != "postgres" && scheme != "postgresql" {
		return "", "", errors.New("the URL of the database begins with postgres://: write postgres://USER:PASSWORD@HOST:5432/DATABASE")
	}
	if strings.ContainsAny(rest, "#\x00\r\n\t ") {
		return "", "", errURL
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	user := ""
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, authority = authority[:at], authority[at+1:]
	}
	user, escaped, _ := strings.Cut(user, ":")
	if strings.ContainsAny(authority+path+query, "@") || strings.ContainsAny(user+escaped, "@:") {
		return "", "", errURL
	}
	// What stands where a port should may be the password of a URL without host.
	for host := range strings.SplitSeq(authority, ",") {
		if end := strings.LastIndexByte(host, ']'); end >= 0 {
			host = host[end+1:]
		}
		if _, port, ok := strings.Cut(host, ":"); ok && port != "" {
			if _, err := strconv.ParseUint(port, 10, 16); err != nil {
				return "", "", errURL
			}
		}
	}
	if password, err = url.PathUnescape(escaped); err != nil {
		return "", "", errURL
	}
	var parameters []string
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		plain, err := url.PathUnescape(name)
		if err != nil {
			return "", "", errURL
		}
		if strings.Contains(strings.ToLower(plain), "password") {
			return "", "", errors.New("a password is a parameter of the URL: write it behind the user, or apart")
		}
		if pair != "" {
			parameters = append(parameters, pair)
		}
	}
	without = "postgres://"
	if user != "" {
		without += user + "@"
	}
	without += authority
	if path != "" {
		without += "/" + path
	}
	if len(parameters) > 0 {
		without += "?" + strings.Join(parameters, "&")
	}
	return without, password, nil
}

// hasParameter tells whether a URL has a parameter.
func hasParameter(text, name string) bool {
	_, query, _ := strings.Cut(text, "?")
	for pair := range strings.SplitSeq(query, "&") {
		if key, _, _ := strings.Cut(pair, "="); key == name {
			return true
		}
	}
	return false
}

// checkTransport refuses a URL that does not say whether a connection over a network is
// encrypted. libpq's own default, `prefer`, lets anybody in between decide that.
func checkTransport(text string, pool *pgxpool.Config) error {
	if hasParameter(text, "sslmode") || hasParameter(text, "ssl") || os.Getenv("PGSSLMODE") != "" {
		return nil
	}
	hosts := []string{pool.ConnConfig.Host}
	for _, f := range pool.ConnConfig.Fallbacks {
		hosts = append(hosts, f.Host)
	}
	for _, host := range hosts {
		ip := net.ParseIP(host)
		if network, _ := pgconn.NetworkAddress(host, 0); network == "unix" || host == "localhost" || ip != nil && ip.IsLoopback() {
			continue
		}
		return fmt.Errorf("the URL does not say whether the connection to %s is encrypted: add ?sslmode=verify-full "+
			"(with &sslrootcert=/path/of/ca.pem for a CA of your own), or ?sslmode=disable where nobody else can listen", host)
	}
	return nil
}
