//go:build !race

package httpclient_test

import (
	"testing"

	"github.com/ainative/portcullis/plugins/httpclient"
)

// An exchange allocates the text of the response's header, which its user may keep,
// and nothing else. (The race detector takes things out of sync.Pool at random.)
func TestAllocations(t *testing.T) {
	response := []byte(ok + "Content-Type: application/json\r\nContent-Length: 2\r\n\r\nok")
	u := serve(t, func(p *peer) {
		for {
			line, err := p.ReadSlice('\n')
			if err != nil {
				return
			}
			if len(line) == 2 {
				_, _ = p.Write(response)
			}
		}
	})
	pool, ctx := u.pool(t, httpclient.Config{}), t.Context()
	got := testing.AllocsPerRun(500, func() {
		x := httpclient.NewExchange()
		defer x.Free()
		x.Start("GET", "/v1/items", "example.com")
		x.Field("Accept", "application/json")
		if err := x.Do(ctx, pool, nil); err != nil {
			t.Error(err)
			return
		}
		for {
			if _, err := x.Next(); err != nil {
				break
			}
		}
		x.Finish()
	})
	// Two of slack: what else runs in the process counts too.
	if got > 3 {
		t.Errorf("got %v allocations, want 1", got)
	}
	t.Logf("%v allocations", got)
}
