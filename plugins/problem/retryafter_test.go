package problem

import (
	"net/http"
	"testing"
)

func TestRetryAfter(t *testing.T) {
	// testClock is 2026-02-18T08:48:30Z, epoch 1771404510.
	for _, c := range []struct {
		name   string
		status int
		header map[string]string
		want   int
	}{
		{"seconds", 429, map[string]string{"Retry-After": "42"}, 42},
		{"seconds on 403", 403, map[string]string{"Retry-After": "42"}, 42},
		{"zero", 429, map[string]string{"Retry-After": "0"}, 1},
		{"float", 429, map[string]string{"Retry-After": "1.2"}, 2},
		{"negative", 429, map[string]string{"Retry-After": "-3"}, 0},
		{"not a number", 429, map[string]string{"Retry-After": "NaN"}, 0},
		{"infinite", 429, map[string]string{"Retry-After": "Inf"}, 0},
		{"huge", 429, map[string]string{"Retry-After": "99999999"}, 0},
		{"beyond int", 429, map[string]string{"Retry-After": "999999999999999999999999"}, 0},
		{"words", 429, map[string]string{"Retry-After": "soon"}, 0},
		{"with a unit", 429, map[string]string{"Retry-After": "30s"}, 30},
		{"with a word", 429, map[string]string{"Retry-After": "2 minutes"}, 120},
		{"epoch", 429, map[string]string{"Retry-After": "1771404540"}, 30},
		{"epoch in milliseconds", 429, map[string]string{"Retry-After": "1771404540000"}, 30},
		{"past epoch", 429, map[string]string{"Retry-After": "1771404500"}, 1},
		{"date", 429, map[string]string{"Retry-After": "Wed, 18 Feb 2026 08:49:00 GMT"}, 30},
		{"rfc 850 date", 429, map[string]string{"Retry-After": "Wednesday, 18-Feb-26 08:49:00 GMT"}, 30},
		{"asctime date", 429, map[string]string{"Retry-After": "Wed Feb 18 08:49:00 2026"}, 30},
		{"iso date", 429, map[string]string{"Retry-After": "2026-02-18T08:49:00Z"}, 30},
		{"past date", 429, map[string]string{"Retry-After": "Wed, 18 Feb 2026 08:00:00 GMT"}, 1},
		{"date against the upstream's clock", 429, map[string]string{"Retry-After": "Mon, 05 Aug 2019 09:27:05 GMT", "Date": "Mon, 05 Aug 2019 09:27:00 GMT"}, 5},
		{"ancient date", 429, map[string]string{"Retry-After": "Mon, 05 Aug 2019 09:27:05 GMT"}, 0},
		{"github reset", 429, map[string]string{"X-RateLimit-Reset": "1771404540"}, 30},
		{"reset does not count on 403", 403, map[string]string{"X-RateLimit-Reset": "1771404540"}, 0},
		{"reset in seconds", 429, map[string]string{"RateLimit-Reset": "7"}, 7},
		{"reset after", 429, map[string]string{"X-RateLimit-Reset-After": "1.5"}, 2},
		{"openai", 429, map[string]string{"X-RateLimit-Reset-Requests": "6m0s"}, 360},
		{"draft", 429, map[string]string{"RateLimit": `"default";r=0;t=5`}, 5},
		{"milliseconds", 429, map[string]string{"Retry-After-Ms": "1500"}, 2},
		{"the first sane one", 429, map[string]string{"Retry-After": "soon", "X-RateLimit-Reset": "9"}, 9},
		{"nothing", 429, nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := http.Header{}
			for name, value := range c.header {
				h.Set(name, value)
			}
			if got := RetryAfter(c.status, h, testClock()); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestRetryAfterOfBody(t *testing.T) {
	tr := newTranslator(t, Config{})
	for _, c := range []struct {
		name, body string
		status     int
		want       int
	}{
		{"member", `{"message":"slow down","retry_after":12}`, 429, 12},
		{"nested", `{"error":{"message":"slow down","details":{"retryAfterSeconds":3}}}`, 429, 3},
		{"text of a member", `{"message":"slow down","retryAfter":"90 seconds"}`, 429, 90},
		{"milliseconds", `{"message":"slow down","retry_after_ms":2500}`, 429, 3},
		{"google", `{"code":8,"message":"quota","details":[{"@type":"x/google.rpc.RetryInfo","retryDelay":"30s"}]}`, 429, 30},
		{"drf", `{"detail":"Request was throttled. Expected available in 42 seconds."}`, 429, 42},
		{"own text", `{"detail":"Rate limit exceeded. Try again in 1 second."}`, 429, 1},
		{"minutes", "Too many attempts, try again after 2 minutes", 429, 120},
		{"discord", `{"message":"You are being rate limited.","retry_after":64.57,"global":false}`, 429, 65},
		{"insane", `{"message":"slow down","retry_after":-1}`, 429, DefaultRetryAfter},
		{"nothing", `{"message":"slow down"}`, 429, DefaultRetryAfter},
		{"503", "", 503, DefaultRetryAfter},
		{"400 has none", `{"message":"wait","retry_after":12}`, 400, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, _ := tr.Translate(Response{Status: c.status, Header: http.Header{}, Body: []byte(c.body)})
			if p.RetryAfter != c.want {
				t.Errorf("got %d, want %d", p.RetryAfter, c.want)
			}
		})
	}
}
