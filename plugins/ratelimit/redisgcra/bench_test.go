package redisgcra_test

import (
	"context"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/ratelimit/redisgcra"
)

// BenchmarkExact compares the exact mode with plain redis_rate, one call a
// request on a pool of 20 connections, for 1, 16 and 256 callers at a round trip
// of a millisecond, 1,000 keys that are all within their limits.
func BenchmarkExact(b *testing.B) {
	s := startServer(b)
	addr := startDelay(b, s.addr, time.Millisecond)
	limit := ratelimit.MustParseLimit("1000000/1m")
	keys := make([]ratelimit.Key, 1000)
	names := make([]string, len(keys))
	for n := range keys {
		keys[n] = ratelimit.NewKey("bench", "", strconv.Itoa(n))
		names[n] = "plain:" + strconv.Itoa(n)
	}
	client := redis.NewClient(&redis.Options{Addr: addr, PoolSize: 20, Protocol: 2})
	defer func() { _ = client.Close() }()
	plain := redis_rate.NewLimiter(client)
	ways := []struct {
		name string
		take func(n int) error
	}{{"plain-redis_rate", func(n int) error {
		_, err := plain.Allow(context.Background(), names[n%len(names)], redis_rate.PerMinute(1_000_000))
		return err
	}}}
	for _, engine := range engines {
		l := newLimiter(b, redisgcra.Options{Engine: engine}, "redis://"+addr)
		ways = append(ways, struct {
			name string
			take func(n int) error
		}{string(engine), func(n int) error {
			_, err := l.Take(context.Background(), keys[n%len(keys)], []ratelimit.Limit{limit}, 1, nil)
			return err
		}})
	}
	for _, callers := range []int{1, 16, 256} {
		for _, way := range ways {
			b.Run(strconv.Itoa(callers)+"-callers/"+way.name, func(b *testing.B) {
				var next atomic.Int64
				took := make([]time.Duration, b.N)
				var all sync.WaitGroup
				b.ResetTimer()
				for range callers {
					all.Go(func() {
						for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
							start := time.Now()
							if err := way.take(int(n)); err != nil {
								b.Error(err)
								return
							}
							took[n-1] = time.Since(start)
						}
					})
				}
				all.Wait()
				b.StopTimer()
				slices.Sort(took)
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
				b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			})
		}
	}
}

// startDelay is a proxy that makes round trips longer and reads nothing of what
// passes, so that it costs little itself.
func startDelay(tb testing.TB, upstream string, delay time.Duration) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = listener.Close() })
	type piece struct {
		at   time.Time
		data []byte
	}
	serve := func(client net.Conn) {
		server, err := net.Dial("tcp", upstream)
		if err != nil {
			_ = client.Close()
			return
		}
		go func() {
			_, _ = io.Copy(server, client)
			_ = server.Close()
		}()
		queue := make(chan piece, 1024)
		go func() {
			for p := range queue {
				timer := time.NewTimer(time.Until(p.at))
				<-timer.C
				_, _ = client.Write(p.data)
			}
			_ = client.Close()
		}()
		defer close(queue)
		for {
			data := make([]byte, 32<<10)
			n, err := server.Read(data)
			if err != nil {
				return
			}
			queue <- piece{at: time.Now().Add(delay), data: data[:n]}
		}
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return listener.Addr().String()
}

// BenchmarkRefused is a refusal from memory: of a caller who has nothing left.
func BenchmarkRefused(b *testing.B) {
	s := startServer(b)
	l := newLimiter(b, redisgcra.Options{}, s.url())
	limits := []ratelimit.Limit{ratelimit.MustParseLimit("60/1m")}
	rows := make([]ratelimit.Row, 1)
	key := owner(1)
	_, _ = l.Take(context.Background(), key, limits, 60, rows)
	before := l.Health().Calls
	b.ReportAllocs()
	for b.Loop() {
		_, _ = l.Take(context.Background(), key, limits, 1, rows)
	}
	b.ReportMetric(float64(l.Health().Calls-before)*100/float64(b.N), "calls/100req")
}

// BenchmarkDead is a decision while Redis is gone and the breaker is open.
func BenchmarkDead(b *testing.B) {
	l := newLimiter(b, redisgcra.Options{Timeout: tight}, "redis://"+freeAddr(b))
	limits := []ratelimit.Limit{ratelimit.MustParseLimit("1000000/1m")}
	rows := make([]ratelimit.Row, 1)
	for l.Health().Breaker != "open" {
		_, _ = l.Take(context.Background(), owner(1), limits, 1, rows)
	}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = l.Take(context.Background(), owner(1), limits, 1, rows)
	}
}

// BenchmarkBounded is a busy caller within the limit in the bounded mode.
func BenchmarkBounded(b *testing.B) {
	s := startServer(b)
	addr := startDelay(b, s.addr, time.Millisecond)
	l := newLimiter(b, redisgcra.Options{Mode: redisgcra.ModeBounded, Nodes: 4}, "redis://"+addr)
	limits := []ratelimit.Limit{ratelimit.MustParseLimit("60000000/1m")}
	rows := make([]ratelimit.Row, 1)
	before := l.Health().Calls
	b.ReportAllocs()
	for b.Loop() {
		_, _ = l.Take(context.Background(), owner(1), limits, 1, rows)
	}
	b.ReportMetric(float64(l.Health().Calls-before)*100/float64(b.N), "calls/100req")
}
