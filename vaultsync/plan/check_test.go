package plan

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

// stored writes a plan as JSON and reads it back.
func stored(t *testing.T, p *Plan) *Plan {
	t.Helper()
	text, err := json.Marshal(p)
	require.NoError(t, err)
	read := new(Plan)
	require.NoError(t, json.Unmarshal(text, read), string(text))
	return read
}

// requireStorable checks that a plan says the same once it was stored, and that the rules it was
// made by let it pass.
func requireStorable(t *testing.T, p *Plan, s scene) {
	t.Helper()
	if !utf8.ValidString(strings.Join(p.Next, "")) { // which no store gives that speaks JSON
		_, err := p.Check(Read(s.list), s.rules)
		require.NoError(t, err)
		return
	}
	read := stored(t, p)
	require.Empty(t, read.Next)
	again, err := read.Check(Read(s.list), s.rules)
	require.NoError(t, err)
	require.Equal(t, p.Next, again.Next)
	require.True(t, p.Emptied || read.Holds(Read(p.Next)))
}

// A plan that rotates k1 to k3 and takes the foreign x away, as it stands in a file.
func storedScene(t *testing.T) (list []Element, want Desired, rules Rules, p *Plan) {
	t.Helper()
	list = elements(trust("a", "k1"), trust("a", "k2"), trust("other", "k9"), paste("x"))
	want, rules = onlyA(publish("a", "k2", "k3")), Rules{Now: now, Foreign: ForeignRemove}
	p = planOf(t, list, want, rules)
	require.Len(t, p.Add, 1)
	require.Len(t, p.Remove, 2)
	return list, want, rules, p
}

func TestStoredPlanIsPrinted(t *testing.T) {
	_, _, _, p := storedScene(t)
	p.Settings = []Change{{Field: "bound_issuer", After: `"https://a"`}}
	p.Failed = []Failure{{pem.Owner{Cluster: "b"}, 2, jwks.ErrNoKeys}}
	read := stored(t, p)
	assert.Equal(t, p.String(), read.String())
	for _, line := range []string{
		"+ " + p.Add[0].String() + ": published, not yet trusted", "- a k1 " + p.Remove[0].Algorithm, "! b: no usable keys",
		"* bound_issuer: ", "2 keys stay",
	} {
		assert.Contains(t, read.String(), line)
	}
	read.Add[0].KeyID = "\x1b[2J"
	assert.NotContains(t, read.String(), "\x1b")
}

// Anyone who can write the file can't have anything written that the rules of the day refuse.
func TestStoredPlanIsInput(t *testing.T) {
	element := func(f func(*pem.Block)) string {
		e := elements(trust("a", "k7"))[0]
		f(&e.Block)
		text, err := e.Block.MarshalText()
		require.NoError(t, err)
		return string(text)
	}
	smuggle := func(text string) func(*Plan) { // with its lists put right
		return func(p *Plan) {
			p.Next = append(p.Next, text)
			p.Add = append(p.Add, Read([]string{text})[0].Key("harmless"))
		}
	}
	for name, test := range map[string]struct {
		change func(*Plan)
		rules  func(*Rules)
		err    error
		says   string
	}{
		"as it was":                    {},
		"a day old":                    {rules: func(r *Rules) { r.Now = now.Add(24 * time.Hour) }},
		"older":                        {rules: func(r *Rules) { r.Now = now.Add(24*time.Hour + time.Second) }, err: ErrStale, says: "ago, over 24h"},
		"older than it may be":         {rules: func(r *Rules) { r.Now, r.MaxAge = now.Add(2*time.Minute), time.Minute }, err: ErrStale, says: "2m0s ago, over 1m"},
		"made tomorrow":                {change: func(p *Plan) { p.Made = now.Add(time.Hour) }, err: ErrStale, says: "yet to come"},
		"made as far ahead as may be":  {change: func(p *Plan) { p.Made = now.Add(maxSkew) }},
		"made at no time":              {change: func(p *Plan) { p.Made = time.Time{} }, err: ErrStale, says: "when it was made"},
		"made of another list":         {change: func(p *Plan) { p.Base = digest(nil) }, err: ErrStale, says: "changed since"},
		"its new key is denied now":    {rules: func(r *Rules) { r.Deny = deny("k3") }, err: ErrRefused, says: fingerprint("k3").Short() + ": it is denied"},
		"what stays is denied now":     {rules: func(r *Rules) { r.Deny = deny("k9") }, err: ErrRefused, says: "denied"},
		"its new key isn't pinned now": {rules: func(r *Rules) { r.Pin = map[string][]pem.Fingerprint{"a": deny("k2")} }, err: ErrRefused, says: "not pinned for a"},
		"its region is retired now":    {rules: func(r *Rules) { r.Retired = []string{"a/"} }, err: ErrRefused, says: "a is retired"},
		"its cluster is retired now":   {rules: func(r *Rules) { r.Retired = []string{"a"} }, says: "both trusted and retired"},
		"foreign keys stay now":        {rules: func(r *Rules) { r.Foreign = ForeignKeep }, err: ErrRefused, says: "foreign keys are kept"},
		"over the number of keys now":  {rules: func(r *Rules) { r.MaxKeys = 1 }, err: ErrNoRoom, says: "1 waits"},
		"its algorithm is left out":    {rules: func(r *Rules) { r.Algorithms, r.LeaveOut = []string{"PS512"}, "not stated" }, err: ErrRefused, says: "not stated"},
		"a key of nobody":              {change: smuggle(paste("k7")), err: ErrRefused, says: "no owner"},
		"a key of a cluster unasked":   {change: smuggle(trust("other", "k7")), err: ErrRefused, says: "none of the plan's clusters"},
		"a weak key":                   {change: smuggle(trust("a", "weak")), err: ErrRefused, says: "must not be trusted"},
		"a key for an odd region":      {change: smuggle(element(func(b *pem.Block) { b.Annotation.Region = "x y" })), err: ErrRefused, says: "none of the plan's clusters"},
		"a key that isn't listed":      {change: func(p *Plan) { p.Next = append(p.Next, trust("a", "k7")) }, err: ErrRefused, says: "on no list"},
		"a listed key that isn't there": {change: func(p *Plan) { p.Add = append(p.Add, Read([]string{trust("a", "k7")})[0].Key("")) }, err: ErrRefused,
			says: "not among the elements"},
		"another's key goes": {change: func(p *Plan) {
			p.Next, p.Claimed = without(p.Next, "k9"), nil
			p.Remove = append(p.Remove, Read([]string{trust("other", "k9")})[0].Key("retired"))
		}, err: ErrRefused, says: "another harvester's"},
		"a key goes unsaid":   {change: func(p *Plan) { p.Next, p.Keep = without(p.Next, "k2"), nil }, err: ErrRefused, says: "not on the list of what goes"},
		"a key is said to go": {change: func(p *Plan) { p.Remove = append(p.Remove, p.Keep[0]) }, err: ErrRefused, says: "would stay"},
		"other keys under one kid": {change: func(p *Plan) {
			other := strings.Replace(trust("a", "k7"), `kid="k7"`, `kid="k2"`, 1)
			p.Next, p.Keep, p.Remove = append(without(p.Next, "k2"), other), nil, append(p.Remove, p.Keep[0])
			p.Add = append(p.Add, Read([]string{other})[0].Key(""))
		}, err: ErrTurnover, says: `both sides have kid "k2", of different keys`},
		"all that was trusted goes":   {change: func(p *Plan) { p.Next, p.Keep, p.Remove = without(p.Next, "k2"), nil, append(p.Remove, p.Keep[0]) }, err: ErrTurnover, says: "none of the published keys"},
		"emptied":                     {change: func(p *Plan) { p.Next, p.Add, p.Keep, p.Claimed = nil, nil, nil, nil }, says: "not on the list of what goes"},
		"emptied, and not":            {change: func(p *Plan) { p.Emptied = true }, err: ErrRefused, says: "would be emptied"},
		"a turnover that is let pass": {change: func(p *Plan) { p.Next, p.Keep, p.Remove = without(p.Next, "k2"), nil, append(p.Remove, p.Keep[0]) }, rules: func(r *Rules) { r.AllowTurnover = []string{"a"} }},
	} {
		t.Run(name, func(t *testing.T) {
			list, _, rules, p := storedScene(t)
			if test.change != nil {
				test.change(p)
			}
			if test.rules != nil {
				test.rules(&rules)
			}
			_, err := p.Check(list, rules)
			if test.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.says)
			if test.err != nil {
				require.ErrorIs(t, err, test.err)
			}
		})
	}
}

// without returns a list without the elements of a key.
func without(list []string, name string) (out []string) {
	for _, e := range Read(list) {
		if e.Fingerprint != fingerprint(name) {
			out = append(out, e.Text)
		}
	}
	return out
}

func TestEmptyingPlanIsAllowedStill(t *testing.T) {
	list, want := elements(trust("a", "k1")), onlyA(publish("a", "k1"))
	rules := Rules{Now: now, Deny: deny("k1"), AllowEmpty: true}
	p := planOf(t, list, want, rules)
	_, err := stored(t, p).Check(list, rules)
	require.NoError(t, err)
	rules.AllowEmpty = false
	_, err = p.Check(list, rules)
	require.ErrorIs(t, err, ErrLastKey)
}

func TestStoredPlanRefusesWhatItCantRead(t *testing.T) {
	_, _, _, p := storedScene(t)
	good, err := json.Marshal(p)
	assert.NotContains(t, string(good), "x\n-----BEGIN", "what stays is only referred to")
	require.NoError(t, err)
	for name, text := range map[string]string{
		"no JSON":                     "plan",
		"another key under its name":  strings.Replace(string(good), `"sha256":"`+fingerprint("k3").String(), `"sha256":"`+fingerprint("k7").String(), 1),
		"a key under another cluster": strings.Replace(string(good), `"add":[{"cluster":"a"`, `"add":[{"cluster":"b"`, 1),
		"too large":                   `{"next":["` + strings.Repeat("x", maxDocument) + `"]}`,
	} {
		t.Run(name, func(t *testing.T) {
			require.NotEqual(t, string(good), text)
			require.Error(t, new(Plan).UnmarshalJSON([]byte(text)))
		})
	}
	whole := slices.Concat(good, []byte(strings.Repeat(" ", maxDocument-len(good))))
	require.NoError(t, new(Plan).UnmarshalJSON(whole), "as large as may be")
}

// What isn't one mount's plan isn't read as one that changes nothing.
func TestReadNoPlan(t *testing.T) {
	for _, text := range []string{"{}", "null", `{"mounts":[]}`, `{"base":""}`} {
		var p Plan
		require.ErrorContains(t, json.Unmarshal([]byte(text), &p), "not one mount's plan", text)
	}
}

func TestPrintedCounts(t *testing.T) {
	said := (&Plan{Add: []Key{{KeyID: "k1"}}, Skipped: []Key{{KeyID: "k2", Reason: "denied"}}}).String()
	assert.Contains(t, said, "? k2")
	assert.Contains(t, said, ": denied\n")
	assert.NotContains(t, said, "0 keys stay")
	assert.Equal(t, "0 keys stay\n", new(Plan).String())
	assert.Contains(t, (&RoomError{Waiting: 1, MaxKeys: 1}).Error(), "takes 1 key of")
}
