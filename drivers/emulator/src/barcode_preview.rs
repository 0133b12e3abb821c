//! CODE 128 (ISO/IEC 15417): encodes the data of `GS k 73` as bars, as a printer's firmware does.

/// Widths of bar, space, bar, space, bar, space of the symbols 0 to 105, in modules; 106 is the stop.
const SYMBOLS: [&[u8]; 107] = [
    b"212222", b"222122", b"222221", b"121223", b"121322", b"131222", b"122213", b"122312", b"132212",
    b"221213", b"221312", b"231212", b"112232", b"122132", b"122231", b"113222", b"123122", b"123221",
    b"223211", b"221132", b"221231", b"213212", b"223112", b"312131", b"311222", b"321122", b"321221",
    b"312212", b"322112", b"322211", b"212123", b"212321", b"232121", b"111323", b"131123", b"131321",
    b"112313", b"132113", b"132311", b"211313", b"231113", b"231311", b"112133", b"112331", b"132131",
    b"113123", b"113321", b"133121", b"313121", b"211331", b"231131", b"213113", b"213311", b"213131",
    b"311123", b"311321", b"331121", b"312113", b"312311", b"332111", b"314111", b"221411", b"431111",
    b"111224", b"111422", b"121124", b"121421", b"141122", b"141221", b"112214", b"112412", b"122114",
    b"122411", b"142112", b"142211", b"241211", b"221114", b"413111", b"241112", b"134111", b"111242",
    b"121142", b"121241", b"114212", b"124112", b"124211", b"411212", b"421112", b"421211", b"212141",
    b"214121", b"412121", b"111143", b"111341", b"131141", b"114113", b"114311", b"411113", b"411311",
    b"113141", b"114131", b"311141", b"411131", b"211412", b"211214", b"211232", b"2331112",
];

/// Encodes the data of `GS k 73` as a bar code: its text, and its modules from left to right, `true` is black. `None`
/// for data that a printer rejects.
#[must_use]
pub fn code_128(data: &[u8]) -> Option<(String, Vec<bool>)> {
    let mut symbols: Vec<usize> = Vec::new();
    let mut text = String::new();
    let mut set = None;
    let mut rest = data;
    loop {
        match (rest, set) {
            ([], _) => break,
            ([b'{', b'B', tail @ ..], before) => {
                symbols.push(if before.is_none() { 104 } else { 100 });
                (set, rest) = (Some('B'), tail);
            }
            ([b'{', b'C', tail @ ..], before) => {
                symbols.push(if before.is_none() { 105 } else { 99 });
                (set, rest) = (Some('C'), tail);
            }
            ([b'{', b'{', tail @ ..], Some('B')) => {
                symbols.push(usize::from(b'{' - 32));
                text.push('{');
                rest = tail;
            }
            ([byte @ 32..=126, tail @ ..], Some('B')) => {
                symbols.push(usize::from(byte - 32));
                text.push(char::from(*byte));
                rest = tail;
            }
            ([pair @ 0..=99, tail @ ..], Some('C')) => {
                symbols.push(usize::from(*pair));
                text.push_str(&format!("{pair:02}"));
                rest = tail;
            }
            _ => return None,
        }
    }
    let check = symbols.iter().enumerate().map(|(at, symbol)| symbol * at.max(1)).sum::<usize>() % 103;
    symbols.extend([check, 106]);
    let mut modules = Vec::new();
    for symbol in symbols {
        let mut black = true;
        for width in SYMBOLS.get(symbol)?.iter() {
            modules.extend(std::iter::repeat_n(black, usize::from(width - b'0')));
            black = !black;
        }
    }
    (!text.is_empty()).then_some((text, modules))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_128_symbols_are_11_modules_and_stop_is_13() {
        for (symbol, widths) in SYMBOLS.iter().enumerate() {
            let modules: u8 = widths.iter().map(|width| width - b'0').sum();
            assert_eq!(modules, if symbol == 106 { 13 } else { 11 }, "{symbol}");
        }
    }

    #[test]
    fn code_128_rejects_invalid_data() {
        for data in [b"".as_slice(), b"123", b"{B", b"{Ba\x10", b"{C\x64", b"{X1"] {
            assert!(code_128(data).is_none(), "{data:?}");
        }
        assert_eq!(code_128(b"{C\x0C{B4").unwrap().0, "124");
    }
}
