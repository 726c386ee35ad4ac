//! Honest files whose sound is odd: channels, rates, formats and what stands beside it.

use super::table::{Class, Expect, Row, clip};
use Class::Sound;
use Expect::Ready;

/// Streams of sound.
pub(super) const SOUNDS: &[Row] = &[
    clip(Sound, "mono.mp4", "S X -ac 1", Ready),
    clip(Sound, "left-only.mp4", "V160x90,25,2 A2 X -af pan=stereo|c0=c0", Ready),
    clip(Sound, "3.mkv", "S X -af pan=2.1|c0=c0|c1=c0|c2=c0", Ready),
    clip(Sound, "quad.mkv", "S X -af pan=quad|c0=c0|c1=c0|c2=c0|c3=c0", Ready),
    clip(Sound, "5.0.mp4", "S X -ac 5", Ready),
    clip(Sound, "5.1.mp4", "S X -ac 6", Ready),
    clip(Sound, "5.1.ts", "S -c:v libx264 -preset ultrafast -c:a ac3 -ac 6", Ready),
    clip(Sound, "6.1.mkv", "S -c:v libx264 -preset ultrafast -c:a flac -ac 7", Ready),
    clip(Sound, "7.1.mkv", "S -c:v libx264 -preset ultrafast -c:a flac -ac 8", Ready),
    clip(
        Sound,
        "16.mov",
        "V160x90,25,2 A2 -c:v libx264 -preset ultrafast -c:a pcm_s16le -af aformat=channel_layouts=hexadecagonal",
        Ready,
    ),
    clip(
        Sound,
        "12-unknown.wav",
        "-f lavfi -i anoisesrc=d=2:r=48000 -filter_complex [0]asplit=12[a][b][c][d][e][f][g][h][i][j][k][l];[a][b][c][d][e][f][g][h][i][j][k][l]amerge=inputs=12",
        Ready,
    ),
    clip(Sound, "8000.wav", "A2 -ar 8000", Ready),
    clip(Sound, "11025.mp3", "A2 -ar 11025 -c:a libmp3lame", Ready),
    clip(Sound, "22050.mp4", "S X -ar 22050", Ready),
    clip(Sound, "44100.mp4", "S X -ar 44100", Ready),
    clip(Sound, "96000.mkv", "S -c:v libx264 -preset ultrafast -c:a flac -ar 96000", Ready),
    clip(Sound, "192000.wav", "A1 -ar 192000", Ready),
    clip(Sound, "768000.wav", "A0.5 -ar 768000", Ready),
    clip(Sound, "dts.mkv", "S -c:v libx264 -preset ultrafast -c:a dca -strict -2", Ready),
    clip(Sound, "truehd.mkv", "S -c:v libx264 -preset ultrafast -c:a truehd -strict -2", Ready),
    clip(Sound, "eac3.mp4", "S -c:v libx264 -preset ultrafast -c:a eac3", Ready),
    clip(Sound, "alac.mp4", "S -c:v libx264 -preset ultrafast -c:a alac", Ready),
    clip(Sound, "mp3.mp4", "S -c:v libx264 -preset ultrafast -c:a libmp3lame", Ready),
    clip(Sound, "opus.mp4", "S -c:v libx264 -preset ultrafast -c:a libopus -strict -2", Ready),
    clip(Sound, "adpcm.wav", "A2 -c:a adpcm_ms", Ready),
    clip(Sound, "alaw.wav", "A2 -c:a pcm_alaw", Ready),
    clip(Sound, "float.wav", "A2 -c:a pcm_f32le", Ready),
    clip(Sound, "u8.wav", "A2 -c:a pcm_u8", Ready),
    clip(Sound, "s302m.ts", "S -c:v mpeg2video -c:a s302m -ac 2 -strict -2", Ready),
    clip(Sound, "speex.ogg", "A2 -c:a libspeex -ar 16000 -ac 1", Ready),
    clip(Sound, "wavpack.mka", "A2 -c:a wavpack", Ready),
    clip(Sound, "gsm.wav", "A2 -c:a libgsm_ms -ar 8000 -ac 1", Ready),
    clip(Sound, "silence.mp4", "V160x90,25,2 -f lavfi -i anullsrc=d=2 X", Ready),
    clip(Sound, "loud.wav", "-f lavfi -i aevalsrc=100*sin(440*2*PI*t):d=2 -c:a pcm_f32le", Ready),
    clip(Sound, "nan.wav", "-f lavfi -i aevalsrc=0/0:d=1 -c:a pcm_f32le", Ready),
];
