package history

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const settle = time.Second

// story is a history of two harvesters, a and b, told a moment a step. An element is its key's
// name and, after a colon, text.
type story struct{ *Log }

func tell(t *testing.T, say func(s story)) Verdict {
	t.Helper()
	var v Verdict
	synctest.Test(t, func(*testing.T) {
		s := story{&Log{Name: func(element string) string {
			name, _, _ := strings.Cut(element, ":")
			return name
		}}}
		say(s)
		v = s.Check(settle)
	})
	return v
}

func moment() { time.Sleep(10 * time.Millisecond) }

func (s story) read(by string, list ...string) {
	begin := time.Now()
	moment()
	s.Read(by, begin, list)
	moment()
}

func (s story) write(by string, list ...string) { s.writeIn(10*time.Millisecond, by, list...) }

func (s story) writeIn(d time.Duration, by string, list ...string) {
	begin := time.Now()
	time.Sleep(d)
	s.Wrote(by, begin, list, false)
	moment()
}

// synced is a sync of a's that ends well, with a1 published and b1 another's.
func (s story) synced() {
	s.Paste("paste:d")
	s.Publish(nil, []string{"a1"})
	s.Publish(nil, []string{"b1"})
	moment()
	s.read("b", "paste:d")
	s.write("b", "paste:d", "b1:x")
	s.read("a", "paste:d", "b1:x")
	s.write("a", "paste:d", "b1:x", "a1:x")
	s.Claim("a", []string{"a1"})
	moment()
}

func TestHistories(t *testing.T) {
	tests := map[string]struct {
		say   func(s story)
		wrong []string
		lost  int // and of these
		late  int
	}{
		"all well": {say: func(s story) {
			s.synced()
			s.read("o", "paste:d", "b1:x", "a1:x")
		}},
		"an update is lost": {lost: 1, say: func(s story) {
			s.synced()
			s.read("o", "paste:d", "b1:x")
			s.read("o", "paste:d", "b1:x", "a1:x")
		}},
		"an update is lost beside a late write": {lost: 1, late: 1, say: func(s story) {
			s.synced()
			s.writeIn(settle, "b", "paste:d", "b1:x")
			s.read("o", "paste:d", "b1:x")
			s.read("o", "paste:d", "b1:x", "a1:x")
		}},
		"a claimed key is published no more": {say: func(s story) {
			s.synced()
			s.Publish([]string{"a1"}, nil)
			s.read("o", "paste:d", "b1:x")
		}},
		"a claimed key was withdrawn while it was read": {say: func(s story) {
			s.synced()
			begin := time.Now()
			moment()
			s.Publish([]string{"a1"}, nil)
			moment()
			s.Read("o", begin, []string{"paste:d", "b1:x"})
			moment()
			s.read("o", "paste:d", "b1:x")
		}},
		"the mount is restored": {say: func(s story) {
			s.synced()
			end := s.Outside()
			moment()
			end()
			s.read("o", "paste:d", "b1:x")
			s.read("o", "paste:d", "b1:x", "a1:x")
		}},
		"never healed": {lost: 1, wrong: []string{"at the end the published key a1 isn't trusted"}, say: func(s story) {
			s.synced()
			s.read("o", "paste:d", "b1:x")
		}},
		"a key that nobody publishes": {wrong: []string{"at the end the key old is trusted, which nobody publishes"}, say: func(s story) {
			s.synced()
			s.read("o", "paste:d", "b1:x", "a1:x", "old:x")
		}},
		"a key twice": {wrong: []string{"at the end a key is there twice"}, say: func(s story) {
			s.synced()
			s.read("o", "paste:d", "b1:x", "a1:x", "a1:x")
		}},
		"another's element is changed": {wrong: []string{"at the end the element of b1 isn't as its owner wrote it"}, say: func(s story) {
			s.synced()
			s.write("a", "paste:d", "b1:y", "a1:x")
			s.read("o", "paste:d", "b1:y", "a1:x")
		}},
		"a foreign element is changed": {
			wrong: []string{
				"a foreign element is gone, or isn't as it was, as o read it",
				"at the end the element of paste isn't as its owner wrote it",
			},
			say: func(s story) {
				s.synced()
				s.write("a", "paste:e", "b1:x", "a1:x")
				s.read("o", "paste:e", "b1:x", "a1:x")
			},
		},
		"a denied key is sent": {wrong: []string{"b sent the denied key a1"}, say: func(s story) {
			s.synced()
			s.Deny("a1")()
			moment()
			s.read("b", "paste:d", "b1:x", "a1:x")
			s.write("b", "paste:d", "b1:x", "a1:x")
			s.read("o", "paste:d", "b1:x")
		}},
		"a denied key is sent on a read of before": {say: func(s story) {
			s.synced()
			s.read("b", "paste:d", "b1:x", "a1:x")
			s.Deny("a1")()
			moment()
			s.write("b", "paste:d", "b1:x", "a1:x")
			s.read("o", "paste:d", "b1:x")
		}},
		"a denied key stays": {wrong: []string{"at the end the denied key a1 is trusted"}, say: func(s story) {
			s.synced()
			s.Deny("a1")()
			moment()
			s.read("o", "paste:d", "b1:x", "a1:x")
		}},
		"nothing": {wrong: []string{"nothing was read"}, say: func(story) {}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			v := tell(t, test.say)
			assert.Equal(t, test.wrong, v.Wrong)
			assert.Len(t, v.Lost, test.lost)
			assert.Len(t, v.Kept(), test.lost-test.late)
		})
	}
}

func TestStood(t *testing.T) {
	tell(t, func(s story) {
		s.write("a", "x")
		s.read("a", "x")
		assert.False(t, s.Stood("a", settle), "one read")
		time.Sleep(settle)
		s.read("b", "x")
		assert.False(t, s.Stood("a", settle), "another's read")
		s.read("a", "x")
		assert.True(t, s.Stood("a", settle))
		s.write("b", "x", "y")
		assert.True(t, s.Stood("a", settle), "another's write, which it hasn't read")
		s.write("a", "x", "y")
		assert.False(t, s.Stood("a", settle))
		s.read("a", "x", "y")
		time.Sleep(settle)
		s.read("a", "x")
		assert.False(t, s.Stood("a", settle), "another list")
	})
}

func TestGaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := story{&Log{Name: func(element string) string { return element }}}
		s.Publish(nil, []string{"quick"})
		s.read("o", "quick")
		end := s.Fault("leader killed")
		s.Publish([]string{"quick"}, []string{"slow", "never"})
		time.Sleep(3 * time.Second)
		end()
		s.read("o", "slow")
		s.read("o") // lost
		s.read("o")
		s.read("o", "slow")
		overlapping := time.Now()
		s.read("o", "slow")
		s.Read("other", overlapping, nil) // may be of before the last one
		moment()
		everywhere := s.Deny("slow")
		s.read("o", "slow")
		everywhere()
		s.read("o")
		s.read("o", "slow") // what is denied isn't missed
		untrusted, denied := s.Untrusted()
		assert.Equal(t, Gaps{
			NoFault: {10 * time.Millisecond, 60 * time.Millisecond}, "leader killed": {3010 * time.Millisecond},
		}, untrusted)
		assert.Equal(t, Gaps{NoFault: {50 * time.Millisecond}}, denied)
		assert.Equal(t, "2, half within 10ms, the longest 60ms", untrusted.Of(NoFault))
		assert.Equal(t, "none", denied.Of("leader killed"))
		assert.Equal(t, map[string]int{"leader killed": 1}, s.Faults())
	})
}

// What a harvester's client sends and gets is noted, and passes unchanged.
func TestTransport(t *testing.T) {
	var l Log
	l.Name = func(element string) string { return element }
	status, body := http.StatusOK, `{"data":{"jwt_validation_pubkeys":["a","b"]}}`
	client := http.Client{Transport: l.Transport("a", roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			sent, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			require.JSONEq(t, `{"jwt_validation_pubkeys":["c"]}`, string(sent))
		}
		return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body))}, nil
	}))}
	answer, err := client.Get("http://vault/v1/auth/jwt-nomad/config")
	require.NoError(t, err)
	got, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, body, string(got))
	_, err = client.Get("http://vault/v1/sys/health")
	require.NoError(t, err)
	status = http.StatusTemporaryRedirect
	_, err = client.Get("http://vault/v1/auth/jwt-nomad/config")
	require.NoError(t, err)
	status = http.StatusForbidden
	put, err := http.NewRequest(http.MethodPut, "http://vault/v1/auth/jwt-nomad/config", bytes.NewBufferString(`{"jwt_validation_pubkeys":["c"]}`))
	require.NoError(t, err)
	_, err = client.Do(put)
	require.NoError(t, err)
	require.Len(t, l.reads, 1)
	require.Equal(t, []string{"a", "b"}, l.reads[0].list)
	require.Len(t, l.writes, 1)
	require.Equal(t, []string{"c"}, l.writes[0].list)
	require.True(t, l.writes[0].err)
}
