package plan

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzNew plans over arbitrary lists and sets and checks what must hold of any plan.
func FuzzNew(f *testing.F) {
	raw := []string{
		"", "note", "x\n-----BEGIN PUBLIC KEY-----\n", `cluster="a" zz="\x00"`, "\"\x1b[2J\u2028", `cluster="a" added="9999-12-31T23:59:59-01:00"`,
		"\n" + paste("k1"), certificates()["k2"], strings.Repeat("long ", 1000),
	}
	random := rand.NewChaCha8([32]byte{}) // so that go test, by itself, sees some of everything
	for i := range 256 {
		seed := make([]byte, 200)
		_, _ = random.Read(seed)
		f.Add(seed, raw[i%len(raw)])
	}
	f.Fuzz(func(t *testing.T, data []byte, raw string) {
		const most = 4096
		s := draw(&choices{data}, raw[:min(len(raw), most)])
		defer func() {
			if t.Failed() {
				t.Log(s)
			}
		}()
		p, err := New(Read(s.list), s.want, s.rules)
		v := invariants{scene: s, plan: p, elements: Read(s.list)}
		if err != nil {
			v.checkRefused(t, err)
			return
		}
		v.next = Read(p.Next)
		v.check(t)
		requireSettled(t, p, s)
		requireStorable(t, p, s)

		same, err := New(Read(s.list), s.want, s.rules)
		require.NoError(t, err)
		require.Equal(t, p.Next, same.Next, "the same input gives the same bytes")
		slices.Reverse(s.list)
		other, err := New(Read(s.list), s.want, s.rules)
		require.NoError(t, err)
		require.ElementsMatch(t, p.Next, other.Next, "the order of the list decides nothing")
	})
}
