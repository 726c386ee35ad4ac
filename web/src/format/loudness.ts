// How loud a sound was and what was done about it, as people read it.

/** `−23.4 LUFS, made 7.4 dB louder`; the minus is that of type, and one of nothing says so. */
export function loudness({ measured_lufs, gain_db }: { measured_lufs: number; gain_db: number }): string {
  const was = `${measured_lufs.toFixed(1).replace('-', '−')} LUFS`;
  if (Math.abs(gain_db) < 0.05) return `${was}, left as it was`;
  return `${was}, made ${Math.abs(gain_db).toFixed(1)} dB ${gain_db > 0 ? 'louder' : 'quieter'}`;
}
