package caddymodule

import "testing"

// Counting an allowed request costs next to nothing: no allocation, no look-up.
func TestCountingAllocatesNothing(t *testing.T) {
	x := new(exchange)
	allocated := testing.AllocsPerRun(1000, func() {
		x.stepCount = 0
		begun := policyAuth.begin()
		policyAuth.end(begun)
		x.step(policyAuth, stepPassed, x.principal)
		x.step(policyRoles, stepPassed, nil)
		x.step(policyLimit, stepPassed, x.policy)
	})
	if allocated != 0 {
		t.Errorf("counting three decisions allocates %v times", allocated)
	}
}

// BenchmarkCounting measures what metrics add to an allowed request: three
// decisions counted, one in 16 of them timed.
func BenchmarkCounting(b *testing.B) {
	count := func(x *exchange) {
		x.stepCount = 0
		for _, policy := range [...]policyName{policyAuth, policyRoles, policyLimit} {
			begun := policy.begin()
			policy.end(begun)
			x.step(policy, stepPassed, nil)
		}
	}
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		x := new(exchange)
		for b.Loop() {
			count(x)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			x := new(exchange)
			for pb.Next() {
				count(x)
			}
		})
	})
}
