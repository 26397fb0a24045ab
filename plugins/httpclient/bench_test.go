package httpclient_test

import (
	"bytes"
	"context"
	"strconv"
	"testing"

	"github.com/ainative/portcullis/plugins/httpclient"
)

// BenchmarkExchange is a request over a connection that is kept, with a context of
// its own as each request of net/http's server has. The upstream allocates nothing
// per request, so what is reported is the client's.
func BenchmarkExchange(b *testing.B) {
	tests := []struct {
		name           string
		body, response int
	}{{"get 200 B", 0, 200}, {"post 10 KB", 10 << 10, 200}, {"get 100 KB", 0, 100 << 10}}
	for _, test := range tests {
		b.Run(test.name, func(b *testing.B) {
			response := []byte(ok + "Content-Type: application/json\r\nContent-Length: " + strconv.Itoa(test.response) + "\r\n\r\n" +
				string(bytes.Repeat([]byte("x"), test.response)))
			u := serve(b, func(p *peer) {
				for {
					for {
						line, err := p.ReadSlice('\n')
						if err != nil {
							return
						}
						if len(line) == 2 {
							break
						}
					}
					if _, err := p.Discard(test.body); err != nil {
						return
					}
					_, _ = p.Write(response)
				}
			})
			pool := u.pool(b, httpclient.Config{})
			b.ReportAllocs()
			b.SetBytes(int64(test.body + test.response))
			for b.Loop() {
				ctx, cancel := context.WithCancel(b.Context())
				x := httpclient.NewExchange()
				x.Start("GET", "/v1/items", "example.com")
				x.Field("Accept", "application/json")
				if test.body > 0 {
					x.Body(zeros{}, int64(test.body), nil, nil)
				}
				if err := x.Do(ctx, pool, nil); err != nil {
					b.Fatal(err)
				}
				total := 0
				for {
					piece, err := x.Next()
					total += len(piece)
					if err != nil {
						break
					}
				}
				if total != test.response {
					b.Fatalf("got %d bytes, want %d", total, test.response)
				}
				x.Finish()
				x.Free()
				cancel()
			}
			if n := u.dials(); n != 1 {
				b.Errorf("got %d connections, want 1", n)
			}
		})
	}
}

// zeros is a body without an end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
