
$01980000-0000-7000-8000-000000000001document_analysis"{"words":12}BJdocument-7f╟╘╗ч©√≤!мллллл(@*retried2
TL3002too slow:documentJh
document
вёp=
О?the best of 2"#
document
вёp=
О?why document "
genericцУ(\▐бЕ?why genericR-░ё╗ч©√≤═╕╗ч©√≤═┼╘ч©√≤! ≥≥≥≥≥ы?)мллллл(@Z 4bf92f3577b34da6a3ce929d0e0e4736bacmej
order42