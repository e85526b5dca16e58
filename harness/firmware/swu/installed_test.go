package swu

import (
	"bytes"
	"compress/gzip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestInstalled(t *testing.T) {
	plain := bytes.Repeat([]byte("a system that starts. "), 500)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write(plain)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	for _, tt := range []struct {
		name, setting string
		file          []byte
		most          int
		want          string // of the error
	}{
		{"as it is", "", plain, len(plain), ""},
		{"too long", "", plain, len(plain) - 1, "there is room for 10999"},
		{"zlib", `compressed = "zlib";`, packed.Bytes(), len(plain), ""},
		{"as it was said of old", "compressed = true;", packed.Bytes(), len(plain), ""},
		{"not packed", "compressed = false;", plain, len(plain), ""},
		{"unpacks to too much", `compressed = "zlib";`, packed.Bytes(), len(plain) - 1, "more than the 10999 bytes"},
		{"cut off", `compressed = "zlib";`, packed.Bytes()[:packed.Len()-9], len(plain), "unexpected EOF"},
		{"no gzip", `compressed = "zlib";`, plain, len(plain), "unpack"},
		{"zstd", `compressed = "zstd";`, plain, len(plain), "packed with zstd"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			desc := `software = { version = "1"; images: ( { filename = "kernel.gz"; ` + tt.setting + ` } ); };`
			a := &Archive{Members: []Member{File(DescriptionName, []byte(desc), false), File("kernel.gz", tt.file, false), File("loose", nil, false)}}
			got, err := a.Installed("kernel.gz", int64(tt.most))
			if tt.want != "" {
				require.ErrorContains(t, err, tt.want)
				return
			}
			require.NoError(t, err)
			assert.True(t, bytes.Equal(plain, got))
			_, err = a.Installed("root.gz", 1)
			require.ErrorContains(t, err, `no file "root.gz"`)
			_, err = a.Installed("loose", 1)
			require.ErrorContains(t, err, `installs no file "loose"`)
		})
	}
}
