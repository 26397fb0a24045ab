package redisgcra_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/ratelimit/redisgcra"
)

// startCluster starts a cluster of masters that share the slots evenly.
func startCluster(t *testing.T, masters int, args ...string) []*server {
	t.Helper()
	var nodes []*server
	for n := range masters {
		// The port of the cluster's own bus is 10,000 higher unless named, which may
		// be none.
		bus := portOf(freeAddr(t))
		s := startServer(t, append([]string{"--cluster-enabled", "yes", "--cluster-node-timeout", "5000", "--cluster-port", bus}, args...)...)
		s.bus = bus
		s.do("cluster", "addslotsrange", n*16384/masters, (n+1)*16384/masters-1)
		nodes = append(nodes, s)
	}
	for _, s := range nodes[1:] {
		nodes[0].do("cluster", "meet", "127.0.0.1", s.port(), s.bus)
	}
	for _, s := range nodes {
		s.await(func(ctx context.Context) error {
			info, err := s.client.ClusterInfo(ctx).Result()
			if err == nil && (!strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d", masters))) {
				err = errors.New(info)
			}
			return err
		})
	}
	return nodes
}

// F9: slots move between the nodes of a cluster while callers count in them.
func TestF9ClusterReshard(t *testing.T) {
	nodes := startCluster(t, 2)
	for _, engine := range engines {
		t.Run(string(engine), func(t *testing.T) {
			l := newLimiter(t, redisgcra.Options{Engine: engine, OnFailure: redisgcra.FailClosed}, nodes[0].url(), nodes[1].url())
			const callers = 64
			admitted := 0
			take5 := func() {
				for n := range callers {
					key := ratelimit.NewKey("cluster", string(engine), fmt.Sprint(n))
					for range 5 {
						d, err := l.Take(t.Context(), key, []ratelimit.Limit{ratelimit.MustParseLimit("12/1h"), ratelimit.MustParseLimit("1000/1d")}, 1, nil)
						if err != nil {
							t.Fatal(err)
						}
						if d.Allowed {
							admitted++
						}
					}
				}
			}
			take5()
			moved := 0
			for from := range nodes {
				moved += reshard(t, nodes[from], nodes[1-from], 24)
				take5()
			}
			if want := callers * 12; admitted != want || moved == 0 {
				t.Errorf("%d admitted over %d slots that moved, want exactly %d", admitted, moved, want)
			}
			measured(t, "F9", "slots of a cluster move (MOVED, ASK)", "0, one redirect", "%s: %d admitted of %d while %d slots moved", engine, admitted, callers*12, moved)
		})
	}
}

// One master of a cluster hangs: those who are counted by the others don't wait
// for it, and after it answers again what was admitted meanwhile is charged.
func TestClusterMasterHangs(t *testing.T) {
	nodes := startCluster(t, 2, "--cluster-require-full-coverage", "no")
	l := newLimiter(t, redisgcra.Options{Timeout: tight, Share: 0.5}, nodes[0].url(), nodes[1].url())
	var here, there []ratelimit.Key // counted by the first master, and by the second
	for n := range 40 {
		key := owner(n)
		before := nodes[0].do("dbsize").(int64)
		take(t, l, key, "10/1h", 1)
		if nodes[0].do("dbsize").(int64) > before {
			here = append(here, key)
		} else {
			there = append(there, key)
		}
	}
	nodes[0].await(func(context.Context) error {
		if masters := l.Health().Masters; len(masters) != 2 {
			return fmt.Errorf("the limiter knows the masters %+v", masters)
		}
		return nil
	})
	nodes[1].signal(syscall.SIGSTOP)
	var all sync.WaitGroup
	var took []time.Duration
	all.Go(func() {
		for range 20 {
			for _, key := range here {
				before := time.Now()
				take(t, l, key, "10/1h", 0)
				took = append(took, time.Since(before))
			}
		}
	})
	admitted := 0
	for range 10 {
		for _, key := range there {
			if d, err := l.Take(t.Context(), key, []ratelimit.Limit{ratelimit.MustParseLimit("10/1h")}, 1, nil); err == nil && d.Allowed {
				admitted++
			}
		}
	}
	all.Wait()
	slices.Sort(took)
	if p90 := took[len(took)*9/10]; p90 > tight/2 {
		t.Errorf("callers of the master that answers waited %s (p90) for the one that hangs", p90)
	}
	h := l.Health()
	open := 0
	for _, m := range h.Masters {
		if m.Breaker == "open" {
			open++
		}
	}
	if open != 1 || h.Breaker != "open" {
		t.Errorf("got %+v, want one breaker open", h)
	}
	if want := 5 * len(there); admitted != want {
		t.Errorf("%d admitted while it hung, want half of the limit of %d callers", admitted, len(there))
	}
	nodes[1].signal(syscall.SIGCONT)
	awaitBreaker(t, l, "closed")
	for _, key := range there {
		// The charges of calls that had timed out were in the socket and count too.
		if got := take(t, l, key, "10/1h", 0).Rows[0].Remaining; got > 4 || got < 2 {
			t.Errorf("%d remain, want what was admitted to be charged", got)
		}
	}
	t.Logf("cluster: one of two masters hung: %d callers of the other waited %s (median), %s (p90)", len(took), took[len(took)/2], took[len(took)*9/10])
}

// reshard moves slots that hold something, as redis-cli does.
func reshard(t *testing.T, from, to *server, most int) int {
	t.Helper()
	id := func(s *server) string { return s.do("cluster", "myid").(string) }
	moved := 0
	for slot := 0; slot < 16384 && moved < most; slot++ {
		if from.do("cluster", "countkeysinslot", slot).(int64) == 0 {
			continue
		}
		to.do("cluster", "setslot", slot, "importing", id(from))
		from.do("cluster", "setslot", slot, "migrating", id(to))
		args := []any{"migrate", "127.0.0.1", to.port(), "", 0, 5000, "keys"}
		names := from.do("cluster", "getkeysinslot", slot, 100).([]any)
		from.do(append(args, names...)...)
		for _, s := range []*server{to, from} {
			s.do("cluster", "setslot", slot, "node", id(to))
		}
		moved++
	}
	return moved
}

// Sentinels fail the master over: the limiter follows and keeps the counts that
// were replicated.
func TestSentinelFailover(t *testing.T) {
	master := startServer(t, "--repl-diskless-sync-delay", "0")
	replica := startServer(t, "--replicaof", "127.0.0.1 "+fmt.Sprint(master.port()))
	sentinel := startSentinel(t, master, replica)
	l := newLimiter(t, redisgcra.Options{OnFailure: redisgcra.FailClosed, Timeout: time.Second}, "sentinel://gateway@"+sentinel.addr)
	limit := []ratelimit.Limit{ratelimit.MustParseLimit("10/1h")}
	for range 4 {
		take(t, l, owner(1), "10/1h", 1)
	}
	master.replicate()
	master.kill()
	killed := time.Now()
	sentinel.await(func(ctx context.Context) error {
		// The sentinel learns of the replica from the master's list.
		addr, err := sentinel.client.Do(ctx, "sentinel", "get-master-addr-by-name", "gateway").StringSlice()
		if err == nil && addr[1] != fmt.Sprint(replica.port()) {
			err = fmt.Errorf("the master is %v", addr)
		}
		return err
	})
	sentinel.await(func(ctx context.Context) error {
		_, err := l.Take(ctx, owner(2), limit, 1, nil)
		return err
	})
	took := time.Since(killed)
	got := take(t, l, owner(1), "10/1h", 0).Rows[0].Remaining
	if got != 6 {
		t.Errorf("%d remain after the failover, want 6", got)
	}
	measured(t, "F5s", "sentinels fail over", "as F5", "%d of 10 remain after 4, decided by the new master %s after the old one was killed (`down-after-milliseconds` 500)", got, took.Round(10*time.Millisecond))
}

func startSentinel(t *testing.T, master, replica *server) *server {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("sentinel monitor gateway 127.0.0.1 %d 1\nsentinel down-after-milliseconds gateway 500\nsentinel failover-timeout gateway 3000\n", master.port())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, file)
	s.await(func(ctx context.Context) error {
		replicas, err := s.client.Do(ctx, "sentinel", "replicas", "gateway").Slice()
		if err == nil && !strings.Contains(fmt.Sprint(replicas), fmt.Sprint(replica.port())) {
			err = errors.New("the sentinel does not know the replica yet")
		}
		return err
	})
	return s
}

// TLS with a certificate of one's own.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, data []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	cert, keyFile := write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", private)
	addr := freeAddr(t)
	startServer(t, "--tls-port", portOf(addr), "--tls-cert-file", cert, "--tls-key-file", keyFile, "--tls-auth-clients", "no")

	l := newLimiter(t, redisgcra.Options{OnFailure: redisgcra.FailClosed}, "rediss://"+addr+"?ca_file="+cert)
	if d := take(t, l, owner(1), "2/1h", 2); !d.Allowed || take(t, l, owner(1), "2/1h", 1).Allowed {
		t.Errorf("got %+v", d)
	}
	stranger := newLimiter(t, redisgcra.Options{OnFailure: redisgcra.FailClosed}, "rediss://"+addr)
	if _, err := stranger.Take(t.Context(), owner(1), []ratelimit.Limit{ratelimit.MustParseLimit("2/1h")}, 1, nil); err == nil {
		t.Error("a certificate that nobody vouches for was accepted")
	}
}
