package redisgcra_test

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A proxy stands between a limiter and a redis-server and does what a test tells
// it to: it changes commands, delays, withholds and adds answers, and cuts.
type proxy struct {
	t        testing.TB
	listener net.Listener
	upstream string

	mu    sync.Mutex
	conns map[net.Conn]bool
	// rewrite changes a command before it goes to Redis.
	rewrite func(args []string) []string
	// delay is how long answers take, each way together.
	delay time.Duration
	// hole takes everything and answers nothing.
	hole bool
	// refuse closes new connections at once.
	refuse bool
	// swallow is how many answers are withheld, and inject what is sent before the
	// next answer.
	swallow int
	inject  string
}

func startProxy(t testing.TB, upstream string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, listener: listener, upstream: upstream, conns: map[net.Conn]bool{}}
	go p.accept()
	t.Cleanup(func() {
		_ = listener.Close()
		p.cut()
	})
	return p
}

func (p *proxy) url() string { return "redis://" + p.listener.Addr().String() }

// set changes what the proxy does.
func (p *proxy) set(change func(*proxy)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

// cut closes all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		_ = conn.Close()
	}
	clear(p.conns)
}

func (p *proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		refuse := p.refuse
		p.mu.Unlock()
		if refuse {
			_ = conn.Close()
			continue
		}
		go p.serve(conn)
	}
}

func (p *proxy) serve(client net.Conn) {
	p.mu.Lock()
	upstream := p.upstream
	p.mu.Unlock()
	redis, err := net.Dial("tcp", upstream)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	p.conns[client], p.conns[redis] = true, true
	p.mu.Unlock()
	go func() {
		p.commands(client, redis)
		_ = redis.Close()
	}()
	p.answers(redis, client)
	_ = client.Close()
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, redis)
	p.mu.Unlock()
}

func (p *proxy) commands(from io.Reader, to io.Writer) {
	r := bufio.NewReader(from)
	for {
		args, err := readCommand(r)
		if err != nil {
			return
		}
		p.mu.Lock()
		if p.rewrite != nil {
			args = p.rewrite(args)
		}
		hole := p.hole
		p.mu.Unlock()
		if hole {
			continue
		}
		var b bytes.Buffer
		fmt.Fprintf(&b, "*%d\r\n", len(args))
		for _, arg := range args {
			fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(arg), arg)
		}
		if _, err := to.Write(b.Bytes()); err != nil {
			return
		}
	}
}

func (p *proxy) answers(from io.Reader, to io.Writer) {
	type answer struct {
		at   time.Time
		data []byte
	}
	// Answers under way: reading goes on while earlier ones wait.
	queue := make(chan answer, 1<<16)
	defer close(queue)
	go func() {
		for a := range queue {
			if wait := time.Until(a.at); wait > 0 {
				timer := time.NewTimer(wait)
				<-timer.C
			}
			if _, err := to.Write(a.data); err != nil {
				return
			}
		}
	}()
	r := bufio.NewReader(from)
	for {
		data, err := readAnswer(r)
		if err != nil {
			return
		}
		p.mu.Lock()
		delay := p.delay
		switch {
		case p.swallow > 0:
			p.swallow--
			data = nil
		case p.inject != "":
			data = append([]byte(p.inject), data...)
			p.inject = ""
		}
		p.mu.Unlock()
		if data != nil {
			select {
			case queue <- answer{at: time.Now().Add(delay), data: data}:
			default:
				return
			}
		}
	}
}

func readCommand(r *bufio.Reader) ([]string, error) {
	n, err := readNumber(r, '*')
	if err != nil {
		return nil, err
	}
	args := make([]string, n)
	for i := range args {
		size, err := readNumber(r, '$')
		if err != nil {
			return nil, err
		}
		data := make([]byte, size+2)
		if _, err := io.ReadFull(r, data); err != nil {
			return nil, err
		}
		args[i] = string(data[:size])
	}
	return args, nil
}

func readNumber(r *bufio.Reader, kind byte) (int, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return 0, err
	}
	if line[0] != kind {
		return 0, fmt.Errorf("got %q, want %c", line, kind)
	}
	return strconv.Atoi(strings.TrimSpace(line[1:]))
}

func readAnswer(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(line[1:])))
	switch {
	case line[0] == '$' && n >= 0:
		data := make([]byte, n+2)
		if _, err := io.ReadFull(r, data); err != nil {
			return nil, err
		}
		return append(line, data...), nil
	case line[0] == '*':
		for range n {
			part, err := readAnswer(r)
			if err != nil {
				return nil, err
			}
			line = append(line, part...)
		}
	}
	return line, nil
}

// frozenTime makes scripts read the time from a key of the test, and keep what
// they write: under a clock that stands still nothing may expire by itself.
const frozenTime = `
local real = redis.call
local redis = {
  replicate_commands = function() end,
  call = function(name, ...)
    if name == 'TIME' then return real('MGET', 'clock:s', 'clock:us') end
    if name == 'SET' then local a = {...}; return real('SET', a[1], a[2]) end
    return real(name, ...)
  end,
}
`

// freeze rewrites scripts so that they use frozenTime.
func freeze() func(args []string) []string {
	known := map[string]string{}
	hash := func(text string) string {
		sum := sha1.Sum([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	return func(args []string) []string {
		switch strings.ToLower(args[0]) {
		case "eval":
			frozen := frozenTime + args[1]
			known[hash(args[1])] = hash(frozen)
			args[1] = frozen
		case "evalsha":
			if frozen, ok := known[args[1]]; ok {
				args[1] = frozen
			}
		}
		return args
	}
}
