package gateway

import "time"

// watchEvery is how often key sets are looked at.
const watchEvery = time.Second

// watchIssuers emits an event when the key set of an issuer can't be read any more,
// and when it can be read again, until the configuration ends.
func (a *App) watchIssuers() {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-a.ctx.Done():
			return
		case <-ticker.C:
			a.lookAtIssuers()
		}
	}
}

func (a *App) lookAtIssuers() {
	for _, h := range a.verifier.Health() {
		// Before the first answer nothing is stale yet.
		stale := h.LastError != "" || (!h.Usable && !h.FetchedAt.IsZero())
		if h.AttemptedAt.IsZero() || !a.events.stale.Turned(h.Name, stale) {
			continue
		}
		data := map[string]any{"issuer": h.Name, "keys": h.Keys, "usable": h.Usable}
		if !stale {
			a.events.emit(eventJWKSRecovered, data)
			continue
		}
		data["error"] = h.LastError
		if !h.FetchedAt.IsZero() {
			data["age_seconds"] = int64(h.Age / time.Second)
		}
		a.events.emit(eventJWKSStale, data)
	}
}
