package redisgcra

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// A Target says where Redis is. Make one with ParseURLs. It holds the password
// and prints without it.
type Target struct {
	network  string
	addrs    []string
	master   string
	cluster  bool
	username string
	password string
	// sentinelUsername and sentinelPassword are those of the sentinels.
	sentinelUsername string
	sentinelPassword string
	db               int
	tls              *tls.Config
}

// ParseURLs reads where Redis is:
//
//	redis://[user:password@]host[:port][/db]       a server
//	rediss://...                                   a server, by TLS 1.2 or later
//	unix:///path/to/redis.sock[?db=n]              a server, by a Unix socket
//	redis://a:6379 redis://b:6379 ...              a cluster, by some of its nodes
//	redis://host:6379?cluster=true                 a cluster, by one of its nodes
//	sentinel://[user:password@]master@h1,h2:26379[/db]   what the sentinels call master
//
// A user and password before the master of sentinel:// are for the server;
// `sentinel_username` and `sentinel_password` in the query are for the sentinels.
// `sentinels://` is the same by TLS. With TLS, `ca_file` in the query is a file of
// PEM certificates to trust in the place of the system's. Errors never hold a
// password.
func ParseURLs(urls []string) (*Target, error) {
	if len(urls) == 0 {
		return nil, errors.New("redis needs an address, like redis://localhost:6379")
	}
	var whole *Target
	for _, text := range urls {
		t, err := parseURL(text)
		if err != nil {
			return nil, err
		}
		switch {
		case whole == nil:
			whole = t
			continue
		case t.master != "" || whole.master != "":
			return nil, errors.New("sentinel:// stands alone, with its addresses joined by commas")
		case t.network == "unix" || whole.network == "unix":
			return nil, errors.New("unix:// stands alone, a cluster has no such address")
		case t.username != whole.username || t.password != whole.password || (t.tls == nil) != (whole.tls == nil):
			return nil, errors.New("the addresses of a cluster must have one scheme, user and password")
		}
		whole.addrs = append(whole.addrs, t.addrs...)
		whole.cluster = true
	}
	if whole.cluster && whole.db != 0 {
		return nil, errors.New("a cluster has no databases, remove the number from the address")
	}
	if whole.cluster && whole.tls != nil {
		// Nodes have names of their own, which the library fills in.
		whole.tls.ServerName = ""
	}
	return whole, nil
}

func parseURL(text string) (*Target, error) {
	master := ""
	if rest, found := strings.CutPrefix(text, "sentinel"); found {
		// url.Parse takes no list of hosts, and the master stands where a user does.
		if at := strings.LastIndexByte(rest, '@'); at >= 0 {
			head := rest[:at]
			if slash := strings.LastIndexAny(head, "/@"); slash >= 0 {
				master = head[slash+1:]
				rest = head[:slash+1] + "@" + rest[at+1:]
				rest = strings.Replace(strings.Replace(rest, "@@", "@", 1), "//@", "//", 1)
			}
		}
		if master == "" {
			return nil, errors.New("sentinel:// needs the name of the master, like sentinel://mymaster@host1,host2,host3")
		}
		text = "sentinel" + rest
	}
	u, err := url.Parse(text)
	if err != nil {
		// The error of url.Parse has the whole address in it.
		return nil, errors.New("an address of redis must be like redis://localhost:6379; this one can't be read")
	}
	t := &Target{network: "tcp", master: master}
	if u.User != nil {
		t.username = u.User.Username()
		t.password, _ = u.User.Password()
	}
	port := "6379"
	switch u.Scheme {
	case "redis", "rediss":
	case "sentinel", "sentinels":
		port = "26379"
	case "unix":
		if u.Path == "" || u.Host != "" {
			return nil, errors.New("unix:// needs a path with three slashes, like unix:///run/redis/redis.sock")
		}
		t.network, t.addrs = "unix", []string{u.Path}
	default:
		return nil, fmt.Errorf("an address of redis must begin with redis://, rediss://, unix://, sentinel:// or sentinels://; got %q", u.Scheme+"://")
	}
	if t.network == "tcp" {
		if err := t.setHosts(u, port); err != nil {
			return nil, err
		}
	}
	if u.Scheme == "rediss" || u.Scheme == "sentinels" {
		t.tls = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.Hostname()}
	}
	return t, t.setQuery(u)
}

func (t *Target) setHosts(u *url.URL, port string) error {
	for host := range strings.SplitSeq(u.Host, ",") {
		if host == "" {
			return errors.New("an address of redis needs a host, like redis://localhost:6379")
		}
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), port)
		}
		t.addrs = append(t.addrs, host)
	}
	if len(t.addrs) > 1 && t.master == "" {
		t.cluster = true
	}
	if db := strings.Trim(u.Path, "/"); db != "" {
		return t.setDB(db)
	}
	return nil
}

func (t *Target) setDB(text string) error {
	db, err := strconv.Atoi(text)
	if err != nil || db < 0 {
		return fmt.Errorf("the database of redis must be a number, like redis://localhost:6379/1; got %q", text)
	}
	t.db = db
	return nil
}

func (t *Target) setQuery(u *url.URL) error {
	for name, values := range u.Query() {
		switch {
		case len(values) > 1:
			return fmt.Errorf("%s is given twice in an address of redis", name)
		case name == "db":
			if err := t.setDB(values[0]); err != nil {
				return err
			}
		case name == "cluster" && values[0] == "true" && t.master == "" && t.network == "tcp":
			t.cluster = true
		case name == "sentinel_username" && t.master != "":
			t.sentinelUsername = values[0]
		case name == "sentinel_password" && t.master != "":
			t.sentinelPassword = values[0]
		case name == "ca_file" && t.tls != nil:
			if err := t.setRoots(values[0]); err != nil {
				return err
			}
		default:
			return fmt.Errorf("an address of redis has no %q; what can be there is db, cluster=true, ca_file with TLS, and for sentinels sentinel_username and sentinel_password", name)
		}
	}
	return nil
}

func (t *Target) setRoots(path string) error {
	pem, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the certificates to trust for redis: %w", err)
	}
	t.tls.RootCAs = x509.NewCertPool()
	if !t.tls.RootCAs.AppendCertsFromPEM(pem) {
		return fmt.Errorf("the file of certificates to trust for redis has none: %s", path)
	}
	return nil
}

// String says where Redis is, without user and password.
func (t *Target) String() string {
	kind := "server "
	switch {
	case t.master != "":
		kind = "master " + t.master + " of the sentinels "
	case t.cluster:
		kind = "cluster "
	}
	return kind + strings.Join(t.addrs, ", ")
}

// GoString is String, so that %#v prints no password either.
func (t *Target) GoString() string { return t.String() }

// client makes a client that fails fast and never sends a command twice. What
// the defaults do instead was measured: 1.8 s until a closed port is an error,
// 5 s until a stopped server is one, and three charges for one answer that came
// late.
func (t *Target) client(budget time.Duration) redis.UniversalClient {
	o := &redis.UniversalOptions{
		Addrs: t.addrs, DB: t.db, MasterName: t.master,
		Username: t.username, Password: t.password,
		SentinelUsername: t.sentinelUsername, SentinelPassword: t.sentinelPassword,
		TLSConfig: t.tls, IsClusterMode: t.cluster,
		// RESP2 has all that scripts answer with, and every server knows it.
		Protocol:              2,
		MaxRetries:            -1,
		MaxRedirects:          1,
		DialTimeout:           200 * time.Millisecond,
		DialerRetries:         1,
		ReadTimeout:           budget + patience,
		WriteTimeout:          budget + patience,
		PoolTimeout:           budget,
		ContextTimeoutEnabled: true,
		PoolSize:              pipelines,
		PipelinePoolSize:      pipelines,
		// GHSA-92cp-5422-2mw7: answers out of order after a CLIENT SETINFO that
		// timed out gave one user the decision of another.
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if t.network == "unix" {
		single := o.Simple()
		single.Network, single.Addr = "unix", t.addrs[0]
		return redis.NewClient(single)
	}
	client := redis.NewUniversalClient(o)
	if cluster, ok := client.(*redis.ClusterClient); ok {
		cluster.OnNewNode(func(node *redis.Client) { node.AddHook(routing{}) })
	}
	return client
}
