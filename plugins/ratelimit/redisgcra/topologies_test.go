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
	"sync/atomic"
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
		s := startServer(t, append([]string{"--cluster-enabled", "yes", "--cluster-node-timeout", "30000", "--cluster-port", bus}, args...)...)
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
	urls := []string{nodes[0].url(), nodes[1].url()}
	patient := newLimiter(t, redisgcra.Options{OnFailure: redisgcra.FailClosed}, urls...)
	var here, there []ratelimit.Key // counted by the first master, and by the second
	for n := range 40 {
		key := owner(n)
		before := nodes[0].do("dbsize").(int64)
		take(t, patient, key, "10/1h", 1)
		if nodes[0].do("dbsize").(int64) > before {
			here = append(here, key)
		} else {
			there = append(there, key)
		}
	}
	// Long enough that no call to a master that answers ends by it on a busy machine.
	const budget = time.Second
	l := newLimiter(t, redisgcra.Options{Timeout: budget, Share: 0.5}, urls...)
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
		for round := 0; round < 20 || l.Health().Breaker != "open"; round++ {
			for _, key := range here {
				before := time.Now()
				take(t, l, key, "10/1h", 0)
				took = append(took, time.Since(before))
			}
		}
	})
	var admitted atomic.Int64
	for range 10 {
		// Together, so that they wait for the budget once.
		var round sync.WaitGroup
		for _, key := range there {
			round.Go(func() {
				if d, err := l.Take(t.Context(), key, []ratelimit.Limit{ratelimit.MustParseLimit("10/1h")}, 1, nil); err == nil && d.Allowed {
					admitted.Add(1)
				}
			})
		}
		round.Wait()
	}
	all.Wait()
	slices.Sort(took)
	if p90 := took[len(took)*9/10]; p90 > budget/2 {
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
	if want := int64(5 * len(there)); admitted.Load() != want {
		t.Errorf("%d admitted while it hung, want half of the limit of %d callers", admitted.Load(), len(there))
	}
	nodes[1].signal(syscall.SIGCONT)
	awaitBreaker(t, l, "closed")
	// One was used before and five meanwhile. A charge of those five that failed is
	// forgiven; a call that had timed out in the socket may come later still.
	most := int64(4*len(there)) + 5*l.Health().Unsettled
	var remain int64
	nodes[1].await(func(context.Context) error {
		remain = 0
		for _, key := range there {
			remain += take(t, patient, key, "10/1h", 0).Rows[0].Remaining
		}
		if remain > most {
			return fmt.Errorf("%d remain to %d callers, want what was admitted to be charged: %d at most", remain, len(there), most)
		}
		return nil
	})
	if least := int64(4*len(there)) - l.Health().Timeouts; remain < least {
		t.Errorf("%d remain to %d callers, want %d at least", remain, len(there), least)
	}
	t.Logf("cluster: one of two masters hung: %d callers of the other waited %s (median), %s (p90)", len(took), took[len(took)/2], took[len(took)*9/10])
}

// A call to a cluster that got no connection has not reached it: what was admitted
// in its place is owed. The client reads a command's arguments to find its node,
// which once counted as sending it, so that such usage was never charged.
func TestClusterCallWithoutConnectionIsOwed(t *testing.T) {
	way := startProxy(t, "")
	s := startServer(t, "--cluster-enabled", "yes", "--cluster-port", portOf(freeAddr(t)),
		"--cluster-announce-ip", "127.0.0.1", "--cluster-announce-port", portOf(way.listener.Addr().String()))
	way.set(func(p *proxy) { p.upstream = s.addr })
	s.do("cluster", "addslotsrange", 0, 16383)
	s.await(func(ctx context.Context) error {
		info, err := s.client.ClusterInfo(ctx).Result()
		if err == nil && !strings.Contains(info, "cluster_state:ok") {
			err = errors.New(info)
		}
		return err
	})
	cluster := way.url() + "?cluster=true"
	for _, engine := range engines {
		t.Run(string(engine), func(t *testing.T) {
			patient := newLimiter(t, redisgcra.Options{Engine: engine, OnFailure: redisgcra.FailClosed}, cluster)
			l := newLimiter(t, redisgcra.Options{Engine: engine, Timeout: tight}, cluster)
			keys := make([]ratelimit.Key, 5) // as many failures open the breaker
			for n := range keys {
				keys[n] = ratelimit.NewKey("unconnected", string(engine), fmt.Sprint(n))
				take(t, patient, keys[n], "10/1h", 1)
			}
			s.await(func(context.Context) error {
				if h := l.Health(); len(h.Masters) != 1 || h.Breaker != "closed" {
					return fmt.Errorf("the limiter does not know the cluster yet: %+v", h)
				}
				return nil
			})
			// Connections are made, and nothing on them is answered.
			way.set(func(p *proxy) { p.hole = true })
			way.cut()
			var all sync.WaitGroup
			for _, key := range keys {
				all.Go(func() { take(t, l, key, "10/1h", 1) })
			}
			all.Wait()
			if h := l.Health(); h.Breaker != "open" || h.Owed != len(keys) {
				t.Errorf("the breaker is %s and %d are owed, want it open and all %d owed", h.Breaker, h.Owed, len(keys))
			}
			way.set(func(p *proxy) { p.hole = false })
			way.cut()
			awaitBreaker(t, l, "closed")
			// A charge that fails on the way is forgiven.
			forgiven, uncharged := l.Health().Unsettled, int64(0)
			for n, key := range keys {
				if got := take(t, patient, key, "10/1h", 0).Rows[0].Remaining; got != 8 {
					uncharged++
					t.Logf("caller %d: %d remain of 10 after two", n, got)
				}
			}
			if uncharged > forgiven {
				t.Errorf("%d of %d are not charged for two, want %d that are forgiven", uncharged, len(keys), forgiven)
			}
		})
	}
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
