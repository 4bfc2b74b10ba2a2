package jwks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// requireSameMembers reads a document both ways. What is plain is accepted by the other way
// as well, with the same members.
func requireSameMembers(t *testing.T, data []byte) (plain bool) {
	t.Helper()
	got, plain := plainMembers(data)
	if !plain {
		return false
	}
	want, err := decodeMembers(data)
	require.NoError(t, err, "taken for a plain document")
	require.Len(t, got, len(want))
	for i := range want {
		require.Nil(t, want[i].why)
		require.Equal(t, want[i], got[i])
	}
	return true
}

// FuzzPlain compares the two ways to read a document.
func FuzzPlain(f *testing.F) {
	for _, directory := range []string{"testdata", corpusDirectory} {
		names, err := filepath.Glob(filepath.Join(directory, "*.json"))
		require.NoError(f, err)
		require.NotEmpty(f, names)
		for _, name := range names {
			data, err := os.ReadFile(name)
			require.NoError(f, err)
			if len(data) <= maxSeed {
				f.Add(data)
			}
		}
	}
	for _, seed := range []string{
		`{"keys":[{"kty":"RSA","key_ops":["verify"],"use":null,"k":null,"x":{"a":[true,false,null,{"a":"","a":""}]}}],"z":[[]]}`,
		" {\t\"keys\" : [ { } , {\"key_ops\":null} ] ,\r\n\"keyz\":{}} ",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) { requireSameMembers(t, data) })
}

func TestPlain(t *testing.T) {
	deep := func(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }
	for name, test := range map[string]struct {
		document string
		plain    bool
	}{
		"empty set":                   {`{"keys":[]}`, true},
		"empty member":                {`{"keys":[{}]}`, true},
		"white space":                 {" {\"keys\" :\t[ {\"kid\" : \"a\" } ,\n{ } ] }\r\n", true},
		"other members":               {`{"a":{"b":[true,false,null,"c",{}]},"keys":[{"x5c":["AA=="],"y":"z"}]}`, true},
		"null":                        {`{"keys":[{"kid":null,"d":null,"key_ops":null,"x":null}]}`, true},
		"key_ops":                     {`{"keys":[{"key_ops":[]},{"key_ops":["verify","sign"]}]}`, true},
		"a name twice, further in":    {`{"keys":[{"a":{"b":"","b":""}}]}`, true},
		"a name twice":                {`{"keys":[],"a":"","a":""}`, false},
		"keys twice":                  {`{"keys":[],"keys":[]}`, false},
		"a name twice in a member":    {`{"keys":[{"a":"","a":""}]}`, false},
		"KEYS":                        {`{"KEYS":[]}`, false},
		"no keys":                     {`{}`, false},
		"keys of null":                {`{"keys":null}`, false},
		"a member that is no object":  {`{"keys":[null]}`, false},
		"kid that is a number":        {`{"keys":[{"kid":1}]}`, false},
		"kid that is an array":        {`{"keys":[{"kid":["a"]}]}`, false},
		"key_ops of null":             {`{"keys":[{"key_ops":[null]}]}`, false},
		"key_ops that is a string":    {`{"keys":[{"key_ops":"verify"}]}`, false},
		"private":                     {`{"keys":[{"d":""}]}`, false},
		"private, not in a member":    {`{"keys":[],"priv":{}}`, false},
		"private, further in":         {`{"keys":[{"a":[{"k":"AQ"}]}]}`, false},
		"private, beside null":        {`{"keys":[{"a":[{"k":nul}]}]}`, false},
		"an escape":                   {`{"keys":[{"a":"\u0064"}]}`, false},
		"an escape in a name":         {`{"keys":[{"\u0064":"a"}]}`, false},
		"not ASCII":                   {`{"keys":[{"kid":"ü"}]}`, false},
		"a line feed in a string":     {"{\"keys\":[{\"kid\":\"\n\"}]}", false},
		"natural numbers":             {`{"keys":[{"a":0,"b":[10,907]}],"c":1}`, true},
		"a negative number":           {`{"keys":[{"a":-1}]}`, false},
		"a fraction":                  {`{"keys":[{"a":1.5}]}`, false},
		"a leading zero":              {`{"keys":[{"a":01}]}`, false},
		"an exponent":                 {`{"keys":[{"a":1e5}]}`, false},
		"no number":                   {`{"keys":[{"a":}]}`, false},
		"a trailing comma":            {`{"keys":[{},]}`, false},
		"a trailing comma in members": {`{"keys":[{"a":"",}]}`, false},
		"two documents":               {`{"keys":[]}{}`, false},
		"a word run on":               {`{"keys":[{"a":nulla}]}`, false},
		"an end that is missing":      {`{"keys":[]`, false},
		"a string without end":        {`{"keys":[{"a":"`, false},
		"nothing":                     {``, false},
		"as deep as may be":           {`{"keys":[],"a":` + deep(maxPlainDepth) + `}`, true},
		"deeper":                      {`{"keys":[],"a":` + deep(maxPlainDepth+1) + `}`, false},
		"as many members as may be":   {`{"keys":[{}` + strings.Repeat(",{}", MaxMembers-1) + `]}`, true},
		"one more":                    {`{"keys":[{}` + strings.Repeat(",{}", MaxMembers) + `]}`, false},
		"as large as may be":          {`{"keys":[]}` + strings.Repeat(" ", MaxDocument-11), true},
		"larger":                      {`{"keys":[]}` + strings.Repeat(" ", MaxDocument-10), false},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.plain, requireSameMembers(t, []byte(test.document)))
		})
	}
}

// What clusters and issuers publish is plain, or the work is for nothing.
func TestPublishedIsPlain(t *testing.T) {
	for _, name := range []string{"issuer-nomad", "issuer-nomad-upgraded", "issuer-kubernetes", "issuer-eks", "issuer-google", "issuer-github", "issuer-microsoft", "issuer-keycloak", "issuer-spiffe"} {
		data, err := os.ReadFile(filepath.Join(corpusDirectory, name+".json"))
		require.NoError(t, err)
		if !requireSameMembers(t, data) {
			t.Errorf("%s isn't plain", name)
		}
	}
}
