package httpclient_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/ainative/portcullis/plugins/httpclient"
)

const ok = "HTTP/1.1 200 OK\r\n"

func TestReadsResponses(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 10_000)
	tests := []struct {
		name, method, response string
		status                 int
		body, trailer          string
		reused                 bool
	}{
		{"length", "GET", ok + "Content-Length: 5\r\n\r\nhello", 200, "hello", "", true},
		{"length of nothing", "GET", ok + "Content-Length: 0\r\n\r\n", 200, "", "", true},
		{"long body", "GET", ok + "Content-Length: 160000\r\n\r\n" + long, 200, long, "", true},
		{"the same length twice", "GET", ok + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", "", true},
		{"chunks", "GET", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", 200, "hello world", "", true},
		{"chunks in another spelling", "GET", ok + "transfer-encoding: Chunked\r\n\r\n00A\r\nhellohello\r\n0\r\n\r\n", 200, "hellohello", "", true},
		{"long chunk", "GET", ok + "Transfer-Encoding: chunked\r\n\r\n27100\r\n" + long + "\r\n0\r\n\r\n", 200, long, "", true},
		{"chunk extensions", "GET", ok + "Transfer-Encoding: chunked\r\n\r\n5;a=b;c\r\nhello\r\n0 ;x\r\n\r\n", 200, "hello", "", true},
		{"trailer", "GET", ok + "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 7\r\n\r\n", 200, "hello", "X-Sum=7;", true},
		{"trailer that nobody announced", "GET", ok + "Transfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 7\r\n\r\n", 200, "", "X-Sum=7;", true},
		{"trailer that would change framing", "GET", ok + "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 7\r\nTransfer-Encoding: x\r\n\r\n", 200, "", "", true},
		{"until close", "GET", ok + "\r\nhello", 200, "hello", "", false},
		{"HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", "", false},
		{"Connection: close", "GET", ok + "Connection: x, Close\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", "", false},
		{"HEAD with a length", "HEAD", ok + "Content-Length: 5\r\n\r\n", 200, "", "", true},
		{"HEAD in chunks", "HEAD", ok + "Transfer-Encoding: chunked\r\n\r\n", 200, "", "", true},
		{"204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", "", true},
		{"304 with a length", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, "", "", true},
		{"no reason", "GET", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", 200, "ok", "", true},
		{"empty reason", "GET", "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", 200, "ok", "", true},
		{"unusual status", "GET", "HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nok", 999, "ok", "", true},
		{"informational before", "GET", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + ok + "Content-Length: 2\r\n\r\nok", 200, "ok", "", true},
		{"another response as surplus", "GET", ok + "Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n", 200, "ok", "", false},
		{"body of a 204 as surplus", "GET", "HTTP/1.1 204 No Content\r\n\r\nhello", 204, "", "", false},
		{"header larger than the buffer", "GET", ok + "X: " + strings.Repeat("x", 20_000) + "\r\nContent-Length: 2\r\n\r\nok", 200, "ok", "", true},
		{"bytes above ASCII", "GET", ok + "X-Name: \xe9\xc3\xa9\r\nContent-Length: 2\r\n\r\nok", 200, "ok", "", true},
		{"empty value", "GET", ok + "X-Empty:\r\nContent-Length:2\r\n\r\nok", 200, "ok", "", true},
	}
	for _, test := range tests {
		for _, pieces := range []int{1 << 20, 1000, 7, 1} {
			if pieces < 1000 && len(test.response) > 10_000 {
				continue
			}
			if surplus := strings.HasSuffix(test.name, "surplus"); surplus && pieces < 1<<20 {
				continue // what comes later is TestUnaskedResponseIsNotUsed's
			}
			t.Run(fmt.Sprintf("%s in pieces of %d", test.name, pieces), func(t *testing.T) {
				again := make(chan bool, 1)
				u := serve(t, func(p *peer) {
					p.head()
					for rest := test.response; rest != ""; {
						n := min(pieces, len(rest))
						p.say(rest[:n])
						rest = rest[n:]
					}
					if !test.reused {
						return
					}
					again <- p.head() != ""
					p.say(ok + "Content-Length: 0\r\n\r\n")
					p.head()
				})
				p := u.pool(t, httpclient.Config{})
				got := do(t.Context(), p, ask{method: test.method})
				if got.err != nil || got.bodyErr != nil {
					t.Fatalf("got errors %v, %v", got.err, got.bodyErr)
				}
				if got.status != test.status || got.body != test.body || got.trailer != test.trailer {
					t.Errorf("got status %d, %d bytes, trailer %q, want %d, %d bytes, %q",
						got.status, len(got.body), got.trailer, test.status, len(test.body), test.trailer)
				}
				if !test.reused {
					if p.Idle() != 0 {
						t.Error("the connection was kept")
					}
					return
				}
				if got := get(t, p); got.err != nil || !<-again || u.dials() != 1 {
					t.Errorf("the connection was not used again: %v, %d dialed", got.err, u.dials())
				}
			})
		}
	}
}

// What may be read in two ways is refused, and the connection closed.
func TestRefusesMalformedResponses(t *testing.T) {
	tests := []struct{ name, response string }{
		{"nothing that is HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n"},
		{"HTTP/0.9", "hello\r\n\r\n"},
		{"HTTP/2", "HTTP/2.0 200 OK\r\n\r\n"},
		{"HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n"},
		{"lower case", "http/1.1 200 OK\r\n\r\n"},
		{"status of two digits", "HTTP/1.1 20 OK\r\n\r\n"},
		{"status of four digits", "HTTP/1.1 2000 OK\r\n\r\n"},
		{"status below 100", "HTTP/1.1 099 Odd\r\n\r\n"},
		{"status with a sign", "HTTP/1.1 +20 OK\r\n\r\n"},
		{"tab before the status", "HTTP/1.1\t200 OK\r\n\r\n"},
		{"empty first line", "\r\n" + ok + "\r\n"},
		{"status 101 that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"},
		{"length and chunks", ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"chunks and length", ok + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"},
		{"two lengths", ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"},
		{"lengths in a list", ok + "Content-Length: 5, 5\r\n\r\nhello"},
		{"negative length", ok + "Content-Length: -5\r\n\r\nhello"},
		{"length with a sign", ok + "Content-Length: +5\r\n\r\nhello"},
		{"length in hexadecimal", ok + "Content-Length: 0x5\r\n\r\nhello"},
		{"empty length", ok + "Content-Length: \r\n\r\nhello"},
		{"length beyond 63 bits", ok + "Content-Length: 9223372036854775808\r\n\r\nhello"},
		{"length that 204 may not have, bad", "HTTP/1.1 204 No Content\r\nContent-Length: x\r\n\r\n"},
		{"another coding", ok + "Transfer-Encoding: gzip\r\n\r\nhello"},
		{"two codings", ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
		{"chunked twice", ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"coding hidden by a vertical tab", ok + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"},
		{"identity", ok + "Transfer-Encoding: identity\r\n\r\nhello"},
		{"chunks with HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"bare line feed behind the status", "HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\nhello"},
		{"bare line feed behind a field", ok + "X: y\nContent-Length: 5\r\n\r\nhello"},
		{"bare line feeds only", "HTTP/1.1 200 OK\n\nhello"},
		{"bare line feed as the end", ok + "Content-Length: 5\r\n\nhello"},
		{"bare carriage return in a value", ok + "X: a\rContent-Length: 5\r\n\r\nhello"},
		{"bare carriage return at the end of a value", ok + "X: a\r\r\nContent-Length: 5\r\n\r\nhello"},
		{"NUL in a value", ok + "X: a\x00b\r\nContent-Length: 5\r\n\r\nhello"},
		{"NUL in a name", ok + "X\x00: a\r\nContent-Length: 5\r\n\r\nhello"},
		{"NUL in the reason", "HTTP/1.1 200 O\x00K\r\n\r\n"},
		{"folded line", ok + "X: a\r\n b\r\nContent-Length: 5\r\n\r\nhello"},
		{"folded line with a tab", ok + "X: a\r\n\tb\r\nContent-Length: 5\r\n\r\nhello"},
		{"folded first line", ok + " Content-Length: 5\r\n\r\nhello"},
		{"space before the colon", ok + "Content-Length : 5\r\n\r\nhello"},
		{"tab before the colon", ok + "Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n"},
		{"no colon", ok + "Content-Length\r\n\r\nhello"},
		{"no name", ok + ": 5\r\n\r\nhello"},
		{"first chunk that is none", ok + "Transfer-Encoding: chunked\r\n\r\nhello\r\n"},
		{"first chunk of negative size", ok + "Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n"},
		{"first chunk with 0x", ok + "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n"},
		{"first chunk too large", ok + "Transfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n"},
		{"first chunk with a bare line feed", ok + "Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n"},
		{"first chunk with space before its size", ok + "Transfer-Encoding: chunked\r\n\r\n 5\r\nhello\r\n0\r\n\r\n"},
		{"malformed informational", "HTTP/1.1 103 Early Hints\r\nX : y\r\n\r\n" + ok + "Content-Length: 0\r\n\r\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			closed := make(chan bool, 1)
			u := serve(t, func(p *peer) {
				p.head()
				p.say(test.response)
				closed <- p.closed()
			})
			p := u.pool(t, httpclient.Config{})
			got := get(t, p)
			if !errors.Is(got.err, httpclient.ErrMalformed) {
				t.Errorf("got %v, want %v", got.err, httpclient.ErrMalformed)
			}
			if !<-closed || p.Idle() != 0 {
				t.Error("the connection was not closed")
			}
		})
	}
}

// What breaks once the header was read is an error of the body, and the
// connection is not used again.
func TestRefusesMalformedBodies(t *testing.T) {
	chunked := ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
	tests := []struct {
		name, response string
		want           error
	}{
		{"short", ok + "Content-Length: 6\r\n\r\nhello", io.ErrUnexpectedEOF},
		{"no last chunk", chunked, io.ErrUnexpectedEOF},
		{"last chunk without its end", chunked + "0\r\n", io.ErrUnexpectedEOF},
		{"cut in a chunk", chunked + "5\r\nhe", io.ErrUnexpectedEOF},
		{"cut behind a chunk", chunked + "5\r\nhello", io.ErrUnexpectedEOF},
		{"cut in a trailer", chunked + "0\r\nX-Sum: 7\r\n", io.ErrUnexpectedEOF},
		{"chunk longer than its size", chunked + "2\r\nhello\r\n0\r\n\r\n", httpclient.ErrMalformed},
		{"chunk that ends with a bare line feed", chunked + "5\r\nhello\n0\r\n\r\n", httpclient.ErrMalformed},
		{"bare line feed behind a size", chunked + "5\nhello\r\n0\r\n\r\n", httpclient.ErrMalformed},
		{"empty size", chunked + "\r\nhello\r\n0\r\n\r\n", httpclient.ErrMalformed},
		{"letter in a size", chunked + "5g\r\nhello\r\n0\r\n\r\n", httpclient.ErrMalformed},
		{"carriage return in an extension", chunked + "5;a\rb\r\nhello\r\n0\r\n\r\n", httpclient.ErrMalformed},
		{"endless extension", chunked + "5;" + strings.Repeat("x", 5000) + "\r\nhello\r\n0\r\n\r\n", httpclient.ErrMalformed},
		{"folded trailer", chunked + "0\r\nX: a\r\n b\r\n\r\n", httpclient.ErrMalformed},
		{"space before a trailer's colon", chunked + "0\r\nX : a\r\n\r\n", httpclient.ErrMalformed},
		{"bare line feed behind a trailer", chunked + "0\r\nX: a\n\r\n", httpclient.ErrMalformed},
		{"trailer too large", chunked + "0\r\n" + strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 40) + "\r\n", httpclient.ErrHeaderTooLarge},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			u := serve(t, func(p *peer) {
				p.head()
				p.say(test.response)
			})
			p := u.pool(t, httpclient.Config{MaxHeader: 32 << 10})
			got := get(t, p)
			if got.err != nil || !errors.Is(got.bodyErr, test.want) {
				t.Errorf("got %v and then %v, want %v", got.err, got.bodyErr, test.want)
			}
			if p.Idle() != 0 {
				t.Error("the connection was kept")
			}
		})
	}
}

func TestLimitsTheHeader(t *testing.T) {
	tests := []struct {
		name  string
		size  int
		limit int
		want  error
	}{
		{"below", 7_000, 8_000, nil},
		{"above", 9_000, 8_000, httpclient.ErrHeaderTooLarge},
		{"above what is smaller than a buffer", 2_000, 1_000, httpclient.ErrHeaderTooLarge},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			u := serve(t, func(p *peer) {
				p.head()
				p.say(ok + "X: " + strings.Repeat("x", test.size) + "\r\nContent-Length: 0\r\n\r\n")
				p.closed()
			})
			got := get(t, u.pool(t, httpclient.Config{MaxHeader: test.limit}))
			if !errors.Is(got.err, test.want) {
				t.Errorf("got %v, want %v", got.err, test.want)
			}
		})
	}
	t.Run("endless line", func(t *testing.T) {
		u := serve(t, func(p *peer) {
			p.head()
			for range 1000 {
				p.say(strings.Repeat("x", 1000))
			}
			p.closed()
		})
		got := get(t, u.pool(t, httpclient.Config{MaxHeader: 100_000}))
		if !errors.Is(got.err, httpclient.ErrHeaderTooLarge) {
			t.Errorf("got %v, want %v", got.err, httpclient.ErrHeaderTooLarge)
		}
	})
}

type record struct {
	x   *httpclient.Exchange
	got []string
}

func (r *record) Informational() {
	text := fmt.Sprint(r.x.Status)
	for _, f := range r.x.Fields {
		text += " " + f.Name + "=" + f.Value
	}
	r.got = append(r.got, text)
}

func TestTellsOfInformationalResponses(t *testing.T) {
	u := serve(t, func(p *peer) {
		p.head()
		p.say("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
		p.say(ok + "Content-Length: 0\r\n\r\n")
		p.closed()
	})
	x := httpclient.NewExchange()
	defer x.Free()
	x.Start("GET", "/", "example.com")
	r := &record{x: x}
	if err := x.Do(t.Context(), u.pool(t, httpclient.Config{}), r); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(r.got), "[102 103 Link=</a>]"; got != want || x.Status != 200 {
		t.Errorf("got %s and %d, want %s and 200", got, x.Status, want)
	}
}
