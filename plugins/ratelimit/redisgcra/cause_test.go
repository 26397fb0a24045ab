package redisgcra_test

import (
	"strings"
	"testing"

	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/ratelimit/redisgcra"
)

// What is wrong with the address is named, to whoever asks and in the health, with
// what to do; and no connection counts as out of step for it.
func TestCauseIsNamed(t *testing.T) {
	open, locked := startServer(t), startServer(t, "--requirepass", "right")
	with := func(s *server, user string) string {
		return strings.Replace(s.url(), "redis://", "redis://"+user+"@", 1)
	}
	for _, tc := range []struct {
		name, url string
		want      []string
	}{
		{"wrong password", with(locked, ":hunter2"), []string{"WRONGPASS", "correct the user or password"}},
		{"wrong user", with(open, "bob:hunter2"), []string{"WRONGPASS", "correct the user or password"}},
		{"no password", locked.url(), []string{"NOAUTH", "wants a password"}},
		{"no such database", open.url() + "/99", []string{"DB index is out of range", "correct the number"}},
		{"nobody there", "redis://127.0.0.1:1", []string{"connection refused"}},
	} {
		for _, engine := range engines {
			t.Run(tc.name+"/"+string(engine), func(t *testing.T) {
				l := newLimiter(t, redisgcra.Options{OnFailure: redisgcra.FailClosed, Engine: engine}, tc.url)
				checked := redisgcra.Explain(l.Check(t.Context()))
				_, err := l.Take(t.Context(), owner(1), []ratelimit.Limit{ratelimit.MustParseLimit("60/1m")}, 1, nil)
				if err == nil {
					t.Fatal("a decision without redis")
				}
				h := l.Health()
				for _, want := range tc.want {
					for what, got := range map[string]string{"Check": checked, "Health": h.LastError} {
						if !strings.Contains(got, want) {
							t.Errorf("%s says %q, want %q in it", what, got, want)
						}
					}
				}
				if strings.Contains(checked+h.LastError+err.Error(), "hunter2") {
					t.Error("the password is in it")
				}
				if h.OutOfStep != 0 || h.FailedAt == nil {
					t.Errorf("got %d connections out of step and a failure at %v, want none and a time", h.OutOfStep, h.FailedAt)
				}
			})
		}
	}
}

func TestCheckOfAWorkingRedis(t *testing.T) {
	s := startServer(t)
	for _, engine := range engines {
		l := newLimiter(t, redisgcra.Options{Engine: engine}, s.url())
		if err := l.Check(t.Context()); err != nil {
			t.Errorf("%s: %v", engine, err)
		}
		if got := redisgcra.Explain(nil); got != "" {
			t.Errorf("no failure is %q", got)
		}
	}
}
